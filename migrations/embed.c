#include "CMigrations.h"

static const unsigned char initial[] = {
#embed "0001_initial.sql"
};

static const unsigned char calls[] = {
#embed "0002_calls.sql"
};

static const unsigned char ice_quality[] = {
#embed "0003_ice_quality.sql"
};

static const unsigned char records[] = {
#embed "0004_records.sql"
};

static const unsigned char admin[] = {
#embed "0005_admin.sql"
};

static const unsigned char room_actor[] = {
#embed "0006_room_actor.sql"
};

static const unsigned char bridge[] = {
#embed "0007_bridge.sql"
};

static const unsigned char api_keys[] = {
#embed "0008_api_keys.sql"
};

static const unsigned char webhooks[] = {
#embed "0009_webhooks.sql"
};

static const unsigned char bridge_outbox_count[] = {
#embed "0010_bridge_outbox_count.sql"
};

static const unsigned char sealed_answers[] = {
#embed "0011_sealed_answers.sql"
};

static const comblang_migration migrations[] = {
    {"0001_initial", initial, sizeof initial},
    {"0002_calls", calls, sizeof calls},
    {"0003_ice_quality", ice_quality, sizeof ice_quality},
    {"0004_records", records, sizeof records},
    {"0005_admin", admin, sizeof admin},
    {"0006_room_actor", room_actor, sizeof room_actor},
    {"0007_bridge", bridge, sizeof bridge},
    {"0008_api_keys", api_keys, sizeof api_keys},
    {"0009_webhooks", webhooks, sizeof webhooks},
    {"0010_bridge_outbox_count", bridge_outbox_count, sizeof bridge_outbox_count},
    {"0011_sealed_answers", sealed_answers, sizeof sealed_answers},
};

const comblang_migration *comblang_migrations(size_t *count) {
    *count = sizeof migrations / sizeof migrations[0];
    return migrations;
}
