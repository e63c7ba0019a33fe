// Pure parts of the module: no browser, no server.

import assert from "node:assert/strict";
import test from "node:test";
import { Comblang, SSEParser, WireChoice, backoff, compareCursors, Emitter, Problem } from "../../clients/js/comblang.js";
import { FakeStorage, json, refused, serve, until } from "./lib/module.mjs";

const wires = ["websocket", "sse", "poll"];

test("cursors of one log are ordered by number, whatever their length", () => {
    assert.ok(compareCursors("a.9", "a.10") < 0);
    assert.ok(compareCursors("a.10", "a.9") > 0);
    assert.equal(compareCursors("a.10", "a.10"), 0);
    assert.ok(compareCursors("a.9007199254740993", "a.9007199254740992") > 0);
    assert.equal(compareCursors("a.1", "b.1"), null);
});

test("a stream in pieces of any size gives the same events", () => {
    const text = ": padding\n\nid: a.1\ndata: {\"one\":1}\n\ndata: x\r\ndata: y\r\n\r\ndata:z\rid: 3\r\rretry: 5\ndata\n\n";
    const whole = new SSEParser().push(text);
    assert.deepEqual(whole, ['{"one":1}', "x\ny", "z"]);
    for (let size = 1; size < 12; size += 1) {
        const parser = new SSEParser();
        const events = [];
        for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
        assert.deepEqual(events, whole, `pieces of ${size}`);
    }
});

test("a line without an end is given up", () => {
    const parser = new SSEParser();
    const piece = "x".repeat(1024 * 1024);
    assert.throws(() => { for (let count = 0; count < 6; count += 1) parser.push(piece); }, { slug: "unexpected-answer" });
});

test("waits grow, are bounded, and are never the same for all", () => {
    for (let attempt = 0; attempt < 100; attempt += 1) {
        const [low, high] = [backoff(attempt, () => 0), backoff(attempt, () => 1)];
        assert.ok(low > 0 && high <= 30_000 && high === low * 2);
    }
    assert.ok(backoff(0, () => 1) < backoff(3, () => 0));
});

test("a wire that fails where another gets through is passed over for a while", () => {
    const choice = new WireChoice();
    assert.deepEqual(choice.order(wires, 0), wires);
    choice.failed("websocket", "mute");
    choice.failed("sse", "mute");
    assert.deepEqual(choice.worked("poll", 0), [{ wire: "websocket", why: "mute" }, { wire: "sse", why: "mute" }]);
    assert.deepEqual(choice.order(wires, 1), ["poll"]);
    assert.equal(choice.better(wires, "poll", 1), null);
    assert.equal(choice.better(wires, "poll", 5 * 60_000), "websocket");
    assert.deepEqual(choice.order(wires, 5 * 60_000), wires);
});

test("a network that is down speaks against no wire", () => {
    const choice = new WireChoice();
    for (const wire of wires) choice.failed(wire, "refused");
    choice.nothingWorked();
    assert.deepEqual(choice.worked("websocket", 0), []);
    assert.deepEqual(choice.order(wires, 0), wires);
});

test("young streams that are cut three times in a row count as not getting through; the last wire never does", () => {
    const choice = new WireChoice();
    choice.cut("websocket", 2_000, 0);
    choice.cut("websocket", 2_000, 0);
    choice.cut("websocket", 90_000, 0);
    choice.cut("websocket", 2_000, 0);
    choice.cut("websocket", 2_000, 0);
    assert.deepEqual(choice.order(wires, 0), wires);
    choice.cut("websocket", 2_000, 0);
    assert.deepEqual(choice.order(wires, 0), ["sse", "poll"]);
    for (let count = 0; count < 10; count += 1) choice.cut("poll", 10, 0);
    assert.deepEqual(choice.order(wires, 0), ["sse", "poll"]);
});

test("a young stream that falls silent is held back; an old one was cut off by the network", () => {
    const choice = new WireChoice();
    choice.cut("sse", 600_000, 0, true);
    assert.deepEqual(choice.order(wires, 0), wires);
    choice.cut("sse", 40_000, 0, true);
    assert.deepEqual(choice.order(wires, 0), ["websocket", "poll"]);
    assert.deepEqual(choice.worked("poll", 0), [{ wire: "sse", why: "mute" }]);
});

test("what was learned outlives the page, and not the network", () => {
    const choice = new WireChoice();
    choice.failed("websocket", "refused");
    choice.worked("sse", 1_000);
    const next = new WireChoice(JSON.parse(JSON.stringify(choice.stored)));
    assert.deepEqual(next.order(wires, 2_000), ["sse", "poll"]);
    next.forget();
    assert.deepEqual(next.order(wires, 2_000), wires);
});

test("whatever happens to wires, there is always one to try, in the caller's order", () => {
    let state = 7;
    const random = (bound) => {
        state = (state * 1103515245 + 12345) % 2147483648;
        return state % bound;
    };
    const choice = new WireChoice();
    let now = 0;
    for (let step = 0; step < 5000; step += 1) {
        now += random(60_000);
        const wire = wires[random(3)];
        [() => choice.failed(wire, "mute"), () => choice.worked(wire, now), () => choice.cut(wire, random(100_000), now),
            () => choice.nothingWorked(), () => choice.forget()][random(5)]();
        const order = choice.order(wires, now);
        assert.ok(order.length > 0);
        assert.deepEqual(order, wires.filter((one) => order.includes(one)));
        const better = choice.better(wires, "poll", now);
        assert.ok(better === null || order.includes(better));
    }
});

test("a poll that waits keeps no timer busy", async (t) => {
    const answers = [{ cursor: "a.1", events: [], ephemeral: [], more: false }];
    t.mock.method(globalThis, "fetch", (address, { signal }) => new Promise((resolve, reject) => {
        const page = answers.shift();
        if (page) resolve(new Response(JSON.stringify(page)));
        else signal.addEventListener("abort", () => reject(new Error("aborted")));
    }));
    const timers = t.mock.method(globalThis, "setTimeout");
    const stream = new Comblang({ url: "http://127.0.0.1", token: "t", keep: "none" }).events({ after: "a.1", wires: ["poll"] });
    await new Promise((resolve) => { stream.on("wire", resolve); });
    await new Promise((resolve) => { setImmediate(() => setImmediate(resolve)); });
    const before = timers.mock.callCount();
    const waits = timers.mock.calls.map((call) => call.arguments[1]);
    assert.ok(waits.every((ms) => ms >= 0 && ms < 2 ** 31), String(waits));
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => { setImmediate(resolve); });
    assert.equal(timers.mock.callCount(), before);
    stream.close();
});

test("a listener that throws takes nothing from the others", () => {
    class Source extends Emitter {
        say(what) { this.emit("word", what); }
    }
    const reported = [];
    globalThis.reportError = (error) => reported.push(error.message);
    const source = new Source();
    const heard = [];
    const stop = source.on("word", (what) => heard.push(what));
    source.on("word", () => { throw new Error("broken"); });
    source.on("word", (what) => heard.push(what));
    source.say("a");
    stop();
    source.say("b");
    assert.deepEqual(heard, ["a", "a", "b"]);
    assert.deepEqual(reported, ["broken", "broken"]);
});

test("a problem carries the server's slug, and a proxy's page is not taken for one", async () => {
    const body = JSON.stringify({ type: "/problems/glare", title: "Glare", status: 409, offer: "sig_1" });
    const ours = await Problem.of(new Response(body, {
        status: 409, headers: { "Content-Type": "application/problem+json", "X-Request-Id": "r1" } }));
    assert.deepEqual([ours.slug, ours.status, ours.body.offer, ours.requestId, ours.isTransient], ["glare", 409, "sig_1", "r1", false]);
    const busy = await Problem.of(new Response("<html>", { status: 503, headers: { "Retry-After": "2" } }));
    assert.deepEqual([busy.slug, busy.retryAfterMs, busy.isTransient], ["unexpected-answer", 2000, true]);
});

/** What a server grants: `a1` and `r1`, then `a2` and `r2`, … */
function session(number, ms = 3_600_000) {
    return {
        user: { id: "usr_1" }, accessToken: `a${number}`, refreshToken: `r${number}`,
        expiresAt: new Date(Date.now() + ms).toISOString() };
}

test("a storage that is full keeps nothing older than what was written", async (t) => {
    globalThis.localStorage = new FakeStorage();
    t.after(() => { delete globalThis.localStorage; });
    let number = 1;
    serve(t, ({ path, token }) => {
        if (path === "/v1/tokens") return json(session(number += 1));
        return token === `a${number}` ? json({ id: "usr_1" }) : refused(401, "unauthorized");
    });
    const comblang = new Comblang({ url: "http://127.0.0.1" });
    await comblang.signIn({ username: "siti", password: "x" });
    localStorage.isFull = true;
    number += 1;
    // Refused, renewed, and what was renewed is what counts from now on.
    await comblang.request("GET", "/v1/users/me");
    number += 1;
    await comblang.request("GET", "/v1/users/me");
    assert.equal(comblang.session.accessToken, `a${number}`);
});

test("a session that is renewed while one signs out does not come back", async (t) => {
    let grant;
    const renewing = new Promise((resolve) => { grant = resolve; });
    let asked;
    const isAsked = new Promise((resolve) => { asked = resolve; });
    serve(t, ({ method, path, body }) => {
        if (body?.grant === "password") return json(session(1));
        if (path === "/v1/tokens") {
            asked();
            return renewing;
        }
        return method === "DELETE" ? new Response(null, { status: 204 }) : refused(401, "unauthorized");
    });
    const comblang = new Comblang({ url: "http://127.0.0.1", keep: "none" });
    await comblang.signIn({ username: "siti", password: "x" });
    const told = [];
    comblang.on("session", (now) => told.push(now));
    const request = assert.rejects(comblang.request("GET", "/v1/users/me"), { slug: "signed-out" });
    await isAsked;
    await comblang.signOut();
    grant(json(session(2)));
    await request;
    assert.equal(comblang.isSignedIn, false);
    assert.deepEqual(told, [null]);
});

test("one who is signed out while a token is renewed in vain is told so", async (t) => {
    const comblang = new Comblang({ url: "http://127.0.0.1", keep: "none" });
    serve(t, () => json(session(1, 1_000)));
    await comblang.signIn({ username: "siti", password: "x" });
    t.mock.method(comblang, "renew", async () => {
        comblang.session = null;
        throw new Problem("network", "away");
    });
    await assert.rejects(comblang.request("GET", "/v1/users/me"), { slug: "signed-out" });
});

test("a client with a token of its own leaves the browser's session alone", async (t) => {
    globalThis.localStorage = new FakeStorage();
    const listeners = [];
    globalThis.addEventListener = (name, listener) => listeners.push([name, listener]);
    t.after(() => {
        delete globalThis.localStorage;
        delete globalThis.addEventListener;
    });
    serve(t, ({ method, path }) => {
        if (path === "/v1/tokens") return json(session(1));
        return method === "DELETE" ? new Response(null, { status: 204 }) : json({ id: "usr_bot" });
    });
    const user = new Comblang({ url: "http://127.0.0.1" });
    const bot = new Comblang({ url: "http://127.0.0.1", token: "key" });
    await bot.identify();
    await user.signIn({ username: "siti", password: "x" });
    // As another tab's storage would tell it.
    for (const [name, listener] of listeners) if (name === "storage") listener({ key: [...localStorage.items.keys()][0] });
    assert.equal(bot.user.id, "usr_bot");
    await bot.signOut();
    assert.equal(bot.isSignedIn, false);
    assert.ok(new Comblang({ url: "http://127.0.0.1" }).isSignedIn);
});

/**
 * A stream that polls, to which a WebSocket is worth trying again; each that is tried stays on its way. `fail` ends the
 * poll that waits.
 */
async function probing(t, ticket = () => json({ ticket: "t" }, 201)) {
    const sockets = [];
    globalThis.WebSocket = class {
        isClosed = false;
        constructor() { sockets.push(this); }
        close() { this.isClosed = true; }
    };
    const polls = [];
    t.mock.method(globalThis, "fetch", (address, { signal }) => {
        if (address.endsWith("/v1/stream-tickets")) return Promise.resolve(ticket());
        if (address.includes("wait=0")) return Promise.resolve(json({ cursor: "a.1", events: [], ephemeral: [], more: false }));
        return new Promise((resolve, reject) => {
            signal.addEventListener("abort", () => reject(new Error("aborted")));
            polls.push(reject);
        });
    });
    const comblang = new Comblang({ url: "http://127.0.0.1", token: "t", keep: "none" });
    comblang.wires.failed("websocket", "refused");
    comblang.wires.worked("poll", Date.now());
    const stream = comblang.events({ after: "a.1", wires: ["websocket", "poll"], probeMs: 5 });
    t.after(() => {
        stream.close();
        delete globalThis.WebSocket;
    });
    await new Promise((resolve) => { stream.on("wire", resolve); });
    comblang.wires.forget();
    return { comblang, stream, sockets, fail: () => polls.pop()(new Error("cut")) };
}

const isTried = ({ wires }) => wires.order(["websocket", "poll"], Date.now())[0] === "websocket";

test("a probe that ends late takes nothing from the connection that is being made", async (t) => {
    const { stream, sockets, fail } = await probing(t);
    await until(() => sockets.length === 1);
    fail();
    await until(() => sockets.length === 2);
    sockets[0].onclose();
    await new Promise(setImmediate);
    stream.reconnect();
    assert.ok(sockets[1].isClosed);
    await until(() => sockets.length === 3);
    stream.close();
    assert.ok(sockets[2].isClosed);
});

test("a stream that is closed closes its probe, also when its wire has ended", async (t) => {
    const { stream, sockets, fail } = await probing(t);
    await until(() => sockets.length === 1);
    fail();
    await until(() => sockets.length === 2);
    stream.close();
    assert.deepEqual(sockets.map((socket) => socket.isClosed), [true, true]);
});

test("a probe that we end ourselves says nothing about its wire", async (t) => {
    for (const end of ["reconnect", "close"]) {
        const { comblang, stream, sockets } = await probing(t);
        await until(() => sockets.length === 1);
        stream[end]();
        await new Promise(setImmediate);
        assert.ok(isTried(comblang), end);
        t.mock.restoreAll();
    }
});

test("a probe that the server itself refuses says nothing about its wire", async (t) => {
    let refusals = 0;
    const { comblang } = await probing(t, () => {
        refusals += 1;
        return refused(429, "rate-limited", { "Retry-After": "60" });
    });
    await until(() => refusals === 1);
    await new Promise(setImmediate);
    assert.ok(isTried(comblang));
});

test("a position that is gone is told once, though two wires hear of it, and nothing comes twice", async (t) => {
    const sockets = [];
    globalThis.WebSocket = class {
        constructor() { sockets.push(this); }
        close() {}
        say(type, id, data = {}) { this.onmessage({ data: JSON.stringify({ id, type, at: "", data }) }); }
    };
    const page = (events, cursor) => json({ cursor, events, ephemeral: [], more: false });
    const message = (id) => ({ id, type: "message.created", at: "", data: {} });
    serve(t, ({ path, query, signal }) => {
        if (path === "/v1/stream-tickets") return json({ ticket: "t" }, 201);
        if (query.get("after") === "z.5") return refused(410, "cursor-expired", {}, { cursor: "a.3" });
        if (query.get("after") === "a.3") return page([message("a.4"), message("a.5")], "a.5");
        return new Promise((resolve, reject) => { signal.addEventListener("abort", () => reject(new Error("aborted"))); });
    });
    const comblang = new Comblang({ url: "http://127.0.0.1", token: "t" });
    const stream = comblang.events({ after: "z.5", wires: ["websocket", "poll"] });
    t.after(() => {
        stream.close();
        delete globalThis.WebSocket;
    });
    const [events, gaps] = [[], []];
    stream.on("event", ({ id }) => events.push(id));
    stream.on("gap", (gap) => gaps.push(gap));
    // The poll that reads in the place of a WebSocket which keeps us waiting.
    await until(() => events.length === 2);
    // It does get through, and begins where it was opened.
    sockets[0].say("stream.ready", "a.3", { heartbeatSeconds: 15 });
    sockets[0].say("stream.gap", "a.3", { requested: "z.5", cursor: "a.3" });
    for (const id of ["a.4", "a.5", "a.6"]) sockets[0].say("message.created", id);
    assert.deepEqual(events, ["a.4", "a.5", "a.6"]);
    assert.deepEqual(gaps, [{ requested: "z.5", cursor: "a.3" }]);
});

test("a stream that was closed while the browser gave it the lead reads nothing", async (t) => {
    const turns = [];
    Object.defineProperty(globalThis, "navigator", {
        configurable: true, value: { locks: { request: (...all) => new Promise((resolve) => { turns.push([all.at(-1), resolve]); }) } } });
    t.after(() => { delete globalThis.navigator; });
    let asked = 0;
    serve(t, () => {
        asked += 1;
        return json({ cursor: "a.1", events: [], ephemeral: [], more: false });
    });
    const comblang = new Comblang({ url: "http://127.0.0.1", token: "t", device: "tab" });
    const stream = comblang.events({ after: "a.1", wires: ["poll"], share: true });
    await until(() => turns.length === 1);
    stream.close();
    const [[lead, done]] = turns;
    const leading = lead();
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    assert.equal(asked, 0);
    done(leading);
    await leading;
});

test("who aborts a request is told so, and not that the network failed", async (t) => {
    t.mock.method(globalThis, "fetch", (address, { signal }) => new Promise((resolve, reject) => {
        if (signal.aborted) reject(signal.reason);
        signal.addEventListener("abort", () => reject(signal.reason));
    }));
    const comblang = new Comblang({ url: "http://127.0.0.1", token: "t", keep: "none" });
    const aborter = new AbortController();
    const waiting = comblang.request("GET", "/v1/events", { signal: aborter.signal });
    aborter.abort(new Error("the user looked elsewhere"));
    const told = { name: "Problem", slug: "aborted", status: 0, isTransient: false, cause: aborter.signal.reason };
    await assert.rejects(waiting, told);
    await assert.rejects(comblang.request("GET", "/v1/events", { signal: aborter.signal }), told);
});

test("a stream that fails before it knows where it stands is not ready", async (t) => {
    const refusal = JSON.stringify({ type: "/problems/not-found", title: "Not found", status: 404 });
    t.mock.method(globalThis, "fetch", async () => new Response(refusal, {
        status: 404, headers: { "Content-Type": "application/problem+json" } }));
    const comblang = new Comblang({ url: "http://127.0.0.1", token: "t", keep: "none" });
    const stream = comblang.events({ room: "nowhere" });
    const errors = [];
    stream.on("error", (problem) => errors.push(problem.slug));
    await assert.rejects(stream.ready, { name: "Problem", slug: "not-found", status: 404 });
    assert.deepEqual([errors, stream.state], [["not-found"], "closed"]);
});

test("a stream that is closed before it knows where it stands is not ready, and who does not ask is not troubled", async (t) => {
    t.mock.method(globalThis, "fetch", (address, { signal }) => new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
    }));
    const unheard = [];
    const listener = (error) => unheard.push(error);
    process.on("unhandledRejection", listener);
    const comblang = new Comblang({ url: "http://127.0.0.1", token: "t", keep: "none" });
    const [asked, unasked] = [comblang.events(), comblang.events()];
    for (const stream of [asked, unasked]) stream.close();
    await assert.rejects(asked.ready, { name: "Problem", slug: "closed" });
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => { setImmediate(resolve); });
    process.off("unhandledRejection", listener);
    assert.deepEqual(unheard, []);
});
