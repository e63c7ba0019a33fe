/**
 * One side of a call by the client that openapi-generator makes for typescript-fetch: `start` or `join`.
 *
 * Everything that goes over the wire is a generated method's or model's. What is said and read is told in README.md.
 */
import {
    CallsApi, CandidateType, Configuration, ConnectionState, EventsApi, IdentityApi, MessagesApi, ProblemFromJSON,
    ResponseError, RoomsApi,
} from "./index.js";
import type { CallEvent, Event, EventPage, Problem, Signal, SignalRequest } from "./index.js";

// What Node has; its types would be another package.
declare const process: {
    argv: string[];
    env: Record<string, string | undefined>;
    stdin: { once(event: "data", listener: () => void): void; unref(): void };
    exit(code: number): never;
};
declare const crypto: { randomUUID(): string };

const SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:tsft\r\n";
const PAYLOAD = { halo: [1, 2.5, true, null, "📞"] };

const side = process.argv[2];
const room = process.env.ROOM ?? "lobby";
let token = "";
const configuration = new Configuration({ basePath: process.env.URL, accessToken: () => token });
const identity = new IdentityApi(configuration);
const rooms = new RoomsApi(configuration);
const calls = new CallsApi(configuration);
const events = new EventsApi(configuration);
const messages = new MessagesApi(configuration);
/** Which type of date and data each type of event became. */
const seen: Record<string, string> = {};

function say(...words: unknown[]): void {
    console.log(...words);
}

function fail(what: string): never {
    throw new Error(what);
}

/** A call's events, or a room's, by long-poll from a cursor on. */
class Log {
    private waiting: Event[] = [];

    constructor(private poll: (after: string) => Promise<EventPage>, private cursor: string) {}

    /** The first value that `wanted` makes of an event; the others are skipped. */
    async next<T>(wanted: (event: Event) => T | undefined): Promise<T> {
        for (;;) {
            for (let event = this.waiting.shift(); event !== undefined; event = this.waiting.shift()) {
                const found = wanted(event);
                if (found !== undefined) return found;
            }
            const page = await this.poll(this.cursor);
            this.cursor = page.cursor;
            this.waiting = page.events;
            // What is known was made into a model, with dates; what is not stays as it came.
            for (const event of page.events) seen[event.type] = event.at instanceof Date ? "Date" : typeof event.at;
        }
    }
}

function signal(...kinds: Signal["type"][]): (event: Event) => Signal | undefined {
    return (event) => (event.type === "signal" && kinds.includes(event.data.type) ? event.data : undefined);
}

function callEvent(kind: CallEvent["type"]): (event: Event) => CallEvent | undefined {
    return (event) => (event.type === kind ? (event as CallEvent) : undefined);
}

const signedIn = await identity.createUser({ newUser: { username: `ts-${crypto.randomUUID().slice(0, 8)}` } });
token = signedIn.accessToken;
const me = await identity.updateUser({ user: "me", userChange: { displayName: "TypeScript" } });
await rooms.putMember({ room, user: "me" });
say("user", me.id);

let call: string;
let peer: string;
let log: Log;
const cursor = (answer: { raw: Response }) => answer.raw.headers.get("Event-Cursor") ?? fail("no cursor");
const follow = (id: string, from: string) =>
    new Log((after) => events.pollCallEvents({ call: id, after, wait: 20 }), from);
const send = async (signalRequest: SignalRequest) =>
    (await calls.sendSignal({ call, signalRequest, idempotencyKey: crypto.randomUUID() })).id;

if (side === "start") {
    const invite = process.env.INVITE === undefined ? undefined : [process.env.INVITE];
    const answer = await calls.createCallRaw({ room, newCall: { media: { audio: true, video: true }, invite } });
    call = (await answer.value()).call.id;
    log = follow(call, cursor(answer));
    say("calling", call);
    const offer = await log.next(signal("offer"));
    peer = offer.from;
    await send({ to: peer, type: "answer", offer: offer.id, sdp: SDP });
} else {
    const snapshot = await calls.listCallsRaw({ room, state: "ringing", limit: 1 });
    let open = (await snapshot.value()).items[0]?.id;
    say("waiting");
    if (open === undefined) {
        const types = ["call.created", "call.ringing"];
        const ring = new Log((at) => events.pollRoomEvents({ room, after: at, types, wait: 20 }), cursor(snapshot));
        // Somebody rings me, or invites everybody.
        open = await ring.next((event) => {
            if (event.type === "call.ringing") return event.call;
            return event.type === "call.created" && event.data.ringingAt === null ? event.call : undefined;
        });
    }
    call = open;
    const answer = await calls.joinCallRaw({ call, joinRequest: { media: { audio: true } } });
    peer = (await answer.value()).peers[0]?.user ?? fail("nobody is in the call");
    log = follow(call, cursor(answer));
    const offer = await send({ to: peer, type: "offer", sdp: SDP });
    say("joined", call);
    if ((await log.next(signal("answer"))).offer !== offer) fail("this answers another offer");
}

const ice = await calls.getIceServers({ call });
if (ice.iceServers[0]?.urls[0]?.startsWith("stun:") !== true) fail("no STUN server");
await send({ to: peer, type: "custom", payload: PAYLOAD });
await send({
    to: peer, type: "candidates", end: true, candidates: [{
        candidate: "candidate:1 1 udp 2113937151 127.0.0.1 50000 typ host", sdpMid: "0", sdpMLineIndex: 0,
        usernameFragment: "tsft",
    }],
});
const custom: unknown[] = [];
let received = await log.next(signal("custom", "candidates"));
for (; received.type === "custom"; received = await log.next(signal("custom", "candidates"))) {
    custom.push(received.payload);
}
if (received.candidates?.[0]?.sdpMLineIndex !== 0 || received.end !== true) fail("other candidates than were sent");
await calls.updateParticipant({ call, participantChange: { connection: ConnectionState.Connected } });
await calls.reportQuality({
    call,
    qualityReport: {
        rttMs: 48.2, packetLoss: 0, localCandidateType: CandidateType.Host, remoteCandidateType: CandidateType.Host,
    },
});
say("connected");

if (process.env.HANGS_UP !== undefined) {
    await new Promise<void>((resolve) => process.stdin.once("data", resolve));
    process.stdin.unref();
    await calls.leaveCall({ call, leaveRequest: { reason: "hang-up" } });
}
// Both sides read the log to the call's end.
await log.next(callEvent("call.ended"));

const record = await calls.getCall({ call });
const own = (await calls.listOwnCalls({ limit: 10 })).items.find((one) => one.id === call);
const endedAt = record.endedAt ?? fail("it has not ended");
const badge = await calls.markCallsSeen({ callsSeenRequest: { until: endedAt } });
const message = await messages.postMessage({ room, newMessage: { content: "Sampai jumpa", metadata: PAYLOAD } });
const history = (await messages.listMessages({ room })).items;
const refused = await calls.joinCall({ call }).catch((error: unknown) => error);
if (!(refused instanceof ResponseError)) fail("it could be joined after its end");
const problem: Problem = ProblemFromJSON(await refused.response.json());
say("summary", JSON.stringify({
    call: record.id, state: record.state, endReason: record.endReason, endedBy: record.endedBy,
    participants: Object.fromEntries(record.participants.map((one) => [one.user, one.state])), missed: own?.missed,
    connectedAfterAnswer: record.answeredAt! <= record.connectedAt! && record.connectedAt! <= endedAt,
    unseen: badge.unseenCount, metadata: message.metadata, editedAt: message.editedAt,
    invitation: history.filter((one) => one.metadata?.["call"] === call).map((one) => one.metadata?.["action"]),
    problem: [problem.type, problem.status, problem.call?.id], custom, seen, other: "string",
}));
process.exit(0);
