// A Call without peers in Node: what it does when the server cannot be reached for a while, and between two awaits.

import assert from "node:assert/strict";
import test from "node:test";
import { Comblang } from "../../clients/js/comblang.js";
import { json, refused, serve, until } from "./lib/module.mjs";

class FakeTrack {
    enabled = true;
    readyState = "live";
    constructor(kind) { this.kind = kind; }
    stop() { this.readyState = "ended"; }
    addEventListener() {}
}

class FakeStream {
    constructor(tracks = []) { this.tracks = tracks; }
    getTracks() { return [...this.tracks]; }
    getAudioTracks() { return this.tracks.filter((track) => track.kind === "audio"); }
    getVideoTracks() { return this.tracks.filter((track) => track.kind === "video"); }
    addTrack(track) { this.tracks.push(track); }
    removeTrack(track) { this.tracks = this.tracks.filter((one) => one !== track); }
}

globalThis.MediaStream = FakeStream;
globalThis.addEventListener = globalThis.removeEventListener = () => {};
const mediaDevices = {};
Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });

// Longer than any request is repeated: so it fails at once.
const away = () => refused(503, "unavailable", { "Retry-After": "60" });
const me = (more) => ({ user: "usr_1", leg: "leg_1", device: "tab", state: "joined", media: {}, ...more });

/**
 * A call by long-poll, alone. `answers` has one answer for each request that is expected beside polls, by what it is
 * for (`join`, `participants/me`), in their order; a last one goes on.
 */
async function inCall(t, answers, tracks = [new FakeTrack("audio"), new FakeTrack("video")]) {
    const asked = [];
    const waiting = [];
    let legs = 0;
    const joined = () => {
        legs += 1;
        return json({
            call: { id: "call_1", state: "active", participants: [me({ leg: `leg_${legs}` })], media: { audio: true, video: true } },
            leaveToken: `leave_${legs}`, iceServers: { iceServers: [], ttlSeconds: 60 }, peers: [],
        }, 200, { "Event-Cursor": "a.1" });
    };
    let position = 1;
    const page = (events) => json({ cursor: `a.${position}`, events, ephemeral: [], more: false });
    serve(t, ({ method, path, query, body, signal }) => {
        if (path === "/v1/users/me") return json({ id: "usr_1" });
        if (path.endsWith("/events")) {
            if (query.get("wait") === "0") return page([]);
            return new Promise((resolve, reject) => {
                signal.addEventListener("abort", () => reject(new Error("aborted")));
                waiting.push({ resolve, reject });
            });
        }
        const what = path.replace(/^\/v1(\/calls\/call_1\/?)?/, "") || "call";
        asked.push({ what, method, body });
        const list = answers[what] ?? [];
        const answer = list.length > 1 ? list.shift() : list[0];
        return answer?.() ?? (what === "join" ? joined() : new Response(null, { status: 204 }));
    });
    const comblang = new Comblang({ url: "http://127.0.0.1", token: "t", device: "tab" });
    const call = await comblang.joinCall("call_1", { stream: new FakeStream(tracks), wires: ["poll"] });
    t.after(() => call.leave());
    const ended = [];
    call.on("ended", ({ reason }) => ended.push(reason));
    const isPolling = () => until(() => waiting.length > 0);
    await isPolling();
    return {
        call, ended, joined, of: (what) => asked.filter((one) => one.what === what).map((one) => one.body),
        async tell(type, data) {
            await isPolling();
            position += 1;
            waiting.pop().resolve(page([{ id: `a.${position}`, type, data, at: "" }]));
        },
        async gap() {
            await isPolling();
            waiting.pop().resolve(refused(410, "cursor-expired", {}, { cursor: `a.${position}` }));
        },
        /** The wire ends, and the next one gets through. */
        async comeBack() {
            await isPolling();
            waiting.pop().reject(new Error("cut"));
        },
    };
}

test("mutes that the server could not be told are told when the wire is back, the latest of each", async (t) => {
    let refuse;
    const pending = new Promise((resolve) => { refuse = () => resolve(away()); });
    const { call, of, comeBack } = await inCall(t, { "participants/me": [() => pending, undefined] });
    await call.setAudio(false);
    await until(() => of("participants/me").length === 1);
    // While the first is on its way, which will be in vain.
    await call.setVideo(false);
    refuse();
    await until(() => call.events.state === "open");
    await comeBack();
    await until(() => of("participants/me").length === 2);
    assert.deepEqual(of("participants/me")[1], { media: { audio: false, video: false, screen: false } });
});

test("a mute is told by and by, even if the wire never went", async (t) => {
    const now = Date.now;
    let skewMs = 0;
    t.mock.method(Date, "now", () => now() + skewMs);
    const overdue = () => {
        // The patience of the request is over at once.
        skewMs += 60_000;
        return refused(503, "unavailable");
    };
    const { call, of } = await inCall(t, { "participants/me": [overdue, overdue, undefined] });
    const problems = [];
    call.on("problem", (problem) => problems.push(problem.status));
    await call.setAudio(false);
    await until(() => of("participants/me").length === 3);
    assert.equal(of("participants/me")[2].media.audio, false);
    assert.deepEqual(problems, [503]);
});

test("what the server refuses for good is told once and not again", async (t) => {
    const { call, of, comeBack } = await inCall(t, { "participants/me": [() => refused(403, "forbidden"), undefined] });
    const problems = [];
    call.on("problem", (problem) => problems.push(problem.slug));
    await call.setAudio(false);
    await until(() => problems.length === 1);
    const isBack = new Promise((resolve) => { call.on("wire", resolve); });
    await comeBack();
    await isBack;
    await call.setAudio(true);
    await until(() => of("participants/me").length === 2);
    assert.deepEqual(problems, ["forbidden"]);
});

test("a lost place is taken again when the server can be reached, with what was muted meanwhile", async (t) => {
    const { call, ended, of, tell, comeBack } = await inCall(t, {
        join: [undefined, away, undefined], "participants/me": [() => refused(409, "not-joined"), undefined] });
    await tell("call.participant", me({ state: "lost" }));
    await until(() => of("join").length === 2);
    await call.setAudio(false);
    await comeBack();
    await until(() => call.leg === "leg_2");
    assert.equal(of("join")[2].media.audio, false);
    assert.deepEqual(ended, []);
});

test("what is muted while the place is taken again is told", async (t) => {
    let take;
    const taking = new Promise((resolve) => { take = resolve; });
    const { call, joined, of, tell } = await inCall(t, {
        join: [undefined, () => taking], "participants/me": [() => refused(409, "not-joined"), undefined] });
    await tell("call.participant", me({ state: "lost" }));
    await until(() => of("join").length === 2);
    await call.setAudio(false);
    await until(() => of("participants/me").length === 1);
    take(joined());
    await until(() => of("participants/me").length === 2);
    assert.equal(of("participants/me")[1].media.audio, false);
});

test("who leaves while the place is taken again leaves that one too", async (t) => {
    let take;
    const taking = new Promise((resolve) => { take = resolve; });
    const { call, joined, of, tell } = await inCall(t, { join: [undefined, () => taking] });
    await tell("call.participant", me({ state: "lost" }));
    await until(() => of("join").length === 2);
    await call.leave();
    take(joined());
    await until(() => of("leave").length === 2);
    assert.deepEqual(of("leave").map((body) => body.leaveToken), ["leave_1", "leave_2"]);
});

test("after a gap the call is read again until that succeeds", async (t) => {
    const ended = () => json({ id: "call_1", state: "ended", endReason: "completed", participants: [], media: {} });
    const call = await inCall(t, { call: [away, ended] });
    await call.gap();
    await until(() => call.of("call").length === 1);
    await call.comeBack();
    await until(() => call.ended.length === 1);
    assert.deepEqual(call.ended, ["completed"]);
});

test("credentials of a relay are asked for until they come", async (t) => {
    const fresh = () => json({ iceServers: [{ urls: "turn:127.0.0.1", username: "2" }], ttlSeconds: 60 });
    const { call, of, tell, comeBack } = await inCall(t, { "/ice-servers": [away, fresh] });
    await tell("ice-servers.refresh", {});
    await until(() => of("/ice-servers").length === 1);
    await comeBack();
    await until(() => call.configuration.iceServers.length === 1);
});

test("a camera that is granted when nobody wants it any more is turned off", async (t) => {
    const grants = [];
    mediaDevices.getUserMedia = () => new Promise((resolve) => { grants.push(resolve); });
    const { call } = await inCall(t, {}, [new FakeTrack("audio")]);
    const unwanted = call.setVideo(true);
    await call.setVideo(false);
    const first = new FakeTrack("video");
    grants[0](new FakeStream([first]));
    await unwanted;
    assert.deepEqual([first.readyState, call.media.video], ["ended", false]);

    const late = assert.rejects(call.setVideo(true), { slug: "closed" });
    await call.leave();
    const second = new FakeTrack("video");
    grants[1](new FakeStream([second]));
    await late;
    assert.equal(second.readyState, "ended");
});

test("a camera that was turned on and is off again when it starts to be sent stays off", async (t) => {
    const camera = new FakeTrack("video");
    mediaDevices.getUserMedia = async () => new FakeStream([camera]);
    const { call } = await inCall(t, {}, [new FakeTrack("audio")]);
    let off;
    // As a click would between two awaits of turning it on.
    call.on("local", () => { off = call.setVideo(false); });
    await call.setVideo(true);
    await off;
    assert.deepEqual([camera.enabled, call.media.video], [false, false]);
});
