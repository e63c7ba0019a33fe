// Pure parts of the module: no browser, no server.

import assert from "node:assert/strict";
import test from "node:test";
import { Comblang, SSEParser, WireChoice, backoff, compareCursors, Emitter, Problem } from "../../clients/js/comblang.js";

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
