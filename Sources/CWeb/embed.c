#include "CWeb.h"

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define JAVASCRIPT "text/javascript; charset=utf-8"

static const unsigned char client_index[] = {
#embed "client/index.html"
};
static const unsigned char client_app_css[] = {
#embed "client/app.css"
};
static const unsigned char client_app_js[] = {
#embed "client/app.js"
};
static const unsigned char client_icon[] = {
#embed "client/icon.svg"
};
static const unsigned char client_parts[] = {
#embed "client/parts.js"
};
static const unsigned char client_questions[] = {
#embed "client/questions.js"
};
static const unsigned char client_theme[] = {
#embed "client/theme.css"
};
static const unsigned char docs_css[] = {
#embed "docs/docs.css"
};
static const unsigned char docs_html[] = {
#embed "docs/docs.html"
};
static const unsigned char docs_js[] = {
#embed "docs/docs.js"
};
// What users get is what the server serves: there is one copy.
static const unsigned char module[] = {
#embed "../../clients/js/comblang.js"
};

static const comblang_web_file files[] = {
    {"/", HTML, client_index, sizeof client_index},
    {"/docs", HTML, docs_html, sizeof docs_html},
    {"/client/app.css", CSS, client_app_css, sizeof client_app_css},
    {"/client/app.js", JAVASCRIPT, client_app_js, sizeof client_app_js},
    {"/client/icon.svg", "image/svg+xml", client_icon, sizeof client_icon},
    {"/client/parts.js", JAVASCRIPT, client_parts, sizeof client_parts},
    {"/client/questions.js", JAVASCRIPT, client_questions, sizeof client_questions},
    {"/client/theme.css", CSS, client_theme, sizeof client_theme},
    {"/client/docs.css", CSS, docs_css, sizeof docs_css},
    {"/client/docs.js", JAVASCRIPT, docs_js, sizeof docs_js},
    {"/client/comblang.js", JAVASCRIPT, module, sizeof module},
};

const comblang_web_file *comblang_web_files(size_t *count) {
    *count = sizeof files / sizeof files[0];
    return files;
}
