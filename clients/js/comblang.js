// @ts-check
/**
 * Comblang in a browser: signing in, the log over whichever wire gets through, and calls.
 *
 *     import { Comblang } from "https://chat.example.org/client/comblang.js";
 *
 *     const comblang = new Comblang({ url: "https://chat.example.org" });
 *     await comblang.signUp({ username: "budi" });
 *     await comblang.request("PUT", "/v1/rooms/lobby/members/me");
 *     const stream = comblang.events();
 *     stream.on("event", (event) => console.log(event.type, event.data));
 *     const call = await comblang.startCall("lobby", { audio: true, video: true });
 *     call.on("stream", ({ stream }) => { video.srcObject = stream; });
 *
 * One file, no dependency. docs/clients.md tells how to use it, openapi/openapi.yaml what it speaks. Errors are
 * {@link Problem}s; nothing that was promised is dropped without one, or without an `error` event.
 * @module
 */

// MARK: Bounds

/** A stream that says nothing for so long after it was asked for is mute: a proxy holds its bytes back. */
const MUTE_MS = 5_000;
/** While a wire keeps us waiting longer than this, a long-poll reads in its place. */
const STOPGAP_AFTER_MS = 1_000;
/** A wire that did not get through is tried again after this; a proxy seldom goes away sooner. */
const DEMOTED_MS = 5 * 60_000;
/** So many abnormal ends of young streams in a row, and the wire counts as one that does not get through. */
const CUTS_MAX = 3;
/** A stream that lived so long was not cut by a proxy that dislikes it. */
const CUT_AGE_MS = 60_000;
/** Missed heartbeats before a silent stream is given up: one may be late, two are not. */
const HEARTBEATS_MISSED_MAX = 2.5;
/** A WebSocket close of ours that the server takes for no goodbye. */
const CLOSE_CHANGING_WIRE = 4000;
/** No event is nearly as long: what goes on without a line's end is no stream of ours. */
const LINE_CHARACTERS_MAX = 4 * 1024 * 1024;
const POLL_WAIT_SECONDS = 25;
const POLL_LIMIT = 1000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** How long a request that may be repeated is repeated. */
const PATIENCE_MS = 20_000;
const TIMEOUT_MS = 15_000;
/** The server takes a spent refresh token again for 30 s, as an answer may be lost; a later one ends the session. */
const REFRESH_PATIENCE_MS = 25_000;
/** An access token is renewed so long before its end. */
const RENEW_BEFORE_MS = 30_000;
/** A leading tab that says nothing for so long is frozen. Background timers run once a minute. */
const LEADER_SILENCE_MS = 150_000;
/** Candidates that come within this go in one request. */
const TRICKLE_MS = 50;
/** What the server holds for a pair before it is answered; one batch never has more. */
const CANDIDATES_PER_BATCH = 50;
/** What the server takes for a pair and generation. */
const CANDIDATES_MAX = 200;
/** Signals that wait for their turn at one peer; the server allows fewer in any sane call. */
const OPERATIONS_MAX = 1000;
/** ICE may heal a `disconnected` by itself for so long. */
const DISCONNECTED_MS = 4_000;
const RESTARTS_MAX = 10;
const OFFER_ATTEMPTS_MAX = 4;
/** For how long an offer that took the place of ours may be on its way. */
const YIELD_MS = 10_000;
/** Bad news about a connection is kept to oneself for so long. */
const SETTLING_MS = 1_000;
const QUALITY_MS = 10_000;
const REJOINS_MAX = 3;

// MARK: Problems

/**
 * What went wrong: an RFC 9457 problem of the server, or one of the module's own.
 *
 * `slug` is the last part of the problem's `type` (`/problems/<slug>`). The module's own are `network` (no answer),
 * `unexpected-answer` (one that is not Comblang's: a proxy's), `aborted` (by the `signal` that was given),
 * `signed-out`, `closed` and `media` (no camera).
 */
export class Problem extends Error {
    /**
     * @param {string} slug
     * @param {string} message
     * @param {{ status?: number, retryAfterMs?: number, requestId?: string | null, body?: Record<string, any>,
     *     cause?: unknown }} [more]
     */
    constructor(slug, message, more = {}) {
        super(message);
        this.name = "Problem";
        this.slug = slug;
        /** The HTTP status; 0 when there was no answer. */
        this.status = more.status ?? 0;
        /** How long the server asks to wait; undefined if it does not say. */
        this.retryAfterMs = more.retryAfterMs;
        /** Names the request in the server's log. */
        this.requestId = more.requestId ?? null;
        /**
         * All members of the problem: `detail`, `errors`, `call`, `offer`, `cursor`.
         *
         * @type {Record<string, any>}
         */
        this.body = more.body ?? {};
        this.cause = more.cause;
    }

    /** Whether the same request may succeed later. */
    get isTransient() {
        return this.slug === "network" || [429, 502, 503, 504].includes(this.status);
    }

    /**
     * @param {Response} response one that is not a success
     * @returns {Promise<Problem>}
     */
    static async of(response) {
        const text = await response.text().catch(() => "");
        const retryAfter = Number(response.headers.get("Retry-After"));
        const more = {
            status: response.status, requestId: response.headers.get("X-Request-Id"),
            retryAfterMs: retryAfter > 0 ? retryAfter * 1000 : undefined,
        };
        if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
            try {
                const body = JSON.parse(text);
                const slug = String(body.type).split("/").pop() ?? "";
                return new Problem(slug, body.detail ?? body.title, { ...more, body });
            } catch { /* Cut short on its way: no better than none. */ }
        }
        return new Problem("unexpected-answer", `${response.status} that is not from Comblang`, more);
    }

    /** @param {unknown} error @returns {Problem} */
    static from(error) {
        if (error instanceof Problem) return error;
        return new Problem("network", error instanceof Error ? error.message : String(error), { cause: error });
    }
}

// MARK: Small parts

/**
 * Listeners by name. A listener that throws is reported to the page and keeps nothing from the others.
 *
 * @template {Record<string, any>} Events
 */
export class Emitter {
    /** @type {Map<keyof Events, Set<(detail: any) => void>>} */
    #listeners = new Map();

    /**
     * @template {keyof Events} Name
     * @param {Name} name
     * @param {(detail: Events[Name]) => void} listener
     * @returns {() => void} takes the listener away again
     */
    on(name, listener) {
        const listeners = this.#listeners.get(name) ?? new Set();
        this.#listeners.set(name, listeners.add(listener));
        return () => { listeners.delete(listener); };
    }

    /**
     * @template {keyof Events} Name
     * @param {Name} name
     * @param {Events[Name]} detail
     * @protected
     */
    emit(name, detail) {
        for (const listener of [...(this.#listeners.get(name) ?? [])]) {
            try {
                listener(detail);
            } catch (error) {
                if (typeof reportError === "function") reportError(error);
                else console.error(error);
            }
        }
    }
}

/**
 * Where a cursor stands against another one of the same log.
 *
 * @param {string} one @param {string} other
 * @returns {number | null} negative, 0 or positive; null if they are of different logs
 */
export function compareCursors(one, other) {
    const [oneEpoch, oneSeq] = one.split(".");
    const [otherEpoch, otherSeq] = other.split(".");
    if (oneEpoch !== otherEpoch) return null;
    // Sequence numbers pass 2^53 only in theory, but a length costs nothing.
    return oneSeq.length - otherSeq.length || (oneSeq < otherSeq ? -1 : oneSeq > otherSeq ? 1 : 0);
}

/**
 * How long to wait before the next try: half of an exponential step and up to as much again, so that clients that
 * were cut together do not return together.
 *
 * @param {number} attempt from 0
 * @param {() => number} [random]
 */
export function backoff(attempt, random = Math.random) {
    const step = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 16));
    return step / 2 + (random() * step) / 2;
}

/** Takes `text/event-stream` in pieces of any size (WHATWG HTML 9.2). */
export class SSEParser {
    #rest = "";
    /** @type {string[]} */
    #data = [];

    /**
     * @param {string} text
     * @returns {string[]} the data of each event that is complete now; comments and other fields are passed over
     */
    push(text) {
        /** @type {string[]} */
        const events = [];
        this.#rest += text;
        if (this.#rest.length > LINE_CHARACTERS_MAX) throw new Problem("unexpected-answer", "A line without an end");
        // A CR at the very end may be half of a CRLF.
        for (let match; (match = /\r\n|\n|\r(?!$)/.exec(this.#rest));) {
            const line = this.#rest.slice(0, match.index);
            this.#rest = this.#rest.slice(match.index + match[0].length);
            if (line === "") {
                if (this.#data.length) events.push(this.#data.join("\n"));
                this.#data = [];
            } else if (line.startsWith("data:")) {
                this.#data.push(line.slice(line[5] === " " ? 6 : 5));
            }
        }
        return events;
    }
}

/** @param {number} ms @param {AbortSignal} [signal] ends the wait early */
function sleep(ms, signal) {
    return new Promise((resolve) => {
        if (signal?.aborted) return resolve(undefined);
        const timer = setTimeout(done, ms);
        function done() {
            clearTimeout(timer);
            signal?.removeEventListener("abort", done);
            resolve(undefined);
        }
        signal?.addEventListener("abort", done);
    });
}

/** 128 random bits; `crypto.randomUUID` is for secure contexts only. */
function randomText() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A browser's storage, or one for the life of the page where there is none (Node, a sandboxed frame). */
class SafeStorage {
    /**
     * What the browser's storage did not take.
     *
     * @type {Map<string, string>}
     */
    #memory = new Map();

    /** @param {() => Storage} find may throw */
    constructor(find) {
        /** @type {Storage | null} */
        this.storage = null;
        try {
            this.storage = find() ?? null;
        } catch { /* Not allowed here. */ }
    }

    /** @param {string} key @returns {any} */
    read(key) {
        try {
            return JSON.parse(this.#memory.get(key) ?? this.storage?.getItem(key) ?? "null");
        } catch {
            return null;
        }
    }

    /** @param {string} key @param {unknown} value null removes it */
    write(key, value) {
        const text = JSON.stringify(value);
        this.#memory.delete(key);
        try {
            if (this.storage && value === null) return this.storage.removeItem(key);
            if (this.storage) return this.storage.setItem(key, text);
        } catch { /* Full, or not allowed any more: what is there now is old. */ }
        this.#memory.set(key, text);
    }

    /**
     * Another tab wrote, or removed: that is newer than what this one could not write.
     *
     * @param {string} key
     */
    forget(key) {
        if (this.storage) this.#memory.delete(key);
    }
}

// MARK: Choosing a wire

/** @typedef {"websocket" | "sse" | "poll"} WireName */

/**
 * Which wire to try next, by what became of the earlier ones. A value: no clock, no socket.
 *
 * A wire that failed is only suspected at first, as the network may have been down; when a later one gets through
 * where it did not, it is passed over for a while.
 */
export class WireChoice {
    /** @type {Map<WireName, number>} */
    #demotedUntil = new Map();
    /** @type {Map<WireName, string>} */
    #suspects = new Map();
    /** @type {Map<WireName, number>} */
    #cuts = new Map();

    /** @param {{ demotedUntil?: Record<string, number> }} [stored] what {@link stored} gave earlier */
    constructor(stored) {
        for (const [wire, until] of Object.entries(stored?.demotedUntil ?? {})) {
            this.#demotedUntil.set(/** @type {WireName} */ (wire), Number(until));
        }
        /** How long a poll may wait here; a proxy may cut it earlier than we would. */
        this.pollWaitSeconds = POLL_WAIT_SECONDS;
    }

    /** What is worth keeping for the next page. */
    get stored() {
        return { demotedUntil: Object.fromEntries(this.#demotedUntil) };
    }

    /**
     * The wires to try, in this order; never none.
     *
     * @param {readonly WireName[]} wires best first
     * @param {number} now milliseconds
     */
    order(wires, now) {
        const usable = wires.filter((wire) => (this.#demotedUntil.get(wire) ?? 0) <= now);
        // All are out of favour: the last one asks least of a network.
        return usable.length ? usable : wires.slice(-1);
    }

    /**
     * The best wire above `present` that may be tried; null if there is none.
     *
     * @param {readonly WireName[]} wires @param {WireName} present @param {number} now
     */
    better(wires, present, now) {
        const above = wires.slice(0, wires.indexOf(present));
        return above.find((wire) => (this.#demotedUntil.get(wire) ?? 0) <= now) ?? null;
    }

    /** @param {WireName} wire @param {string} why `mute`, `refused` or `cut` */
    failed(wire, why) {
        this.#suspects.set(wire, why);
    }

    /** Nothing got through: it was the network. */
    nothingWorked() {
        this.#suspects.clear();
    }

    /**
     * @param {WireName} wire @param {number} now
     * @returns {{ wire: WireName, why: string }[]} the wires that are passed over from now on
     */
    worked(wire, now) {
        const because = [...this.#suspects].filter(([suspect]) => suspect !== wire);
        for (const [suspect] of because) this.#demotedUntil.set(suspect, now + DEMOTED_MS);
        this.#suspects.clear();
        this.#demotedUntil.delete(wire);
        return because.map(([suspect, why]) => ({ wire: suspect, why }));
    }

    /**
     * A stream ended without a word.
     *
     * @param {WireName} wire @param {number} livedMs @param {number} now
     * @param {boolean} [isSilent] nothing came any more: a young one is held back by a proxy that passed its beginning
     */
    cut(wire, livedMs, now, isSilent = false) {
        const cuts = livedMs >= CUT_AGE_MS ? 0 : isSilent ? CUTS_MAX : (this.#cuts.get(wire) ?? 0) + 1;
        this.#cuts.set(wire, cuts);
        if (cuts < CUTS_MAX || wire === "poll") return;
        if (isSilent) this.#suspects.set(wire, "mute");
        this.#cuts.set(wire, 0);
        this.#demotedUntil.set(wire, now + DEMOTED_MS);
    }

    /** Another network: what was learned about the last one says nothing. */
    forget() {
        this.#demotedUntil.clear();
        this.#suspects.clear();
        this.#cuts.clear();
        this.pollWaitSeconds = POLL_WAIT_SECONDS;
    }
}

// MARK: Session and requests

/**
 * @typedef {{ id: string, username: string | null, displayName: string, color: string, role: "user" | "admin",
 *     kind: "account" | "guest" | "bridged" }} User
 * @typedef {{ user: User, accessToken: string, expiresAt: string, refreshToken: string }} Session
 * @typedef {{ id: string, type: string, room?: string, call?: string, actor?: string, at: string,
 *     data: Record<string, any> }} Event
 * @typedef {{ status: number, body: any, cursor: string | null, headers: Headers }} Answer
 *
 * @typedef {object} RequestOptions
 * @property {unknown} [body] sent as JSON
 * @property {Record<string, string | number | boolean | readonly string[] | null | undefined>} [query]
 * @property {boolean} [anonymous] sends no token
 * @property {string} [key] the `Idempotency-Key`; the default for a POST that creates is a fresh one
 * @property {boolean} [repeatable] whether a lost answer may be asked for again; the default knows the contract
 * @property {number} [patienceMs] for how long to ask again after passing failures; 20 s
 * @property {number} [timeoutMs] of one try; 15 s
 * @property {AbortSignal} [signal]
 * @property {boolean} [keepalive] outlives the page
 */

/** POSTs that the server keeps no idempotency key for, as their answers are secrets, or that are safe to repeat. */
const UNKEYED = /^\/v1\/(users|tokens|stream-tickets|users\/me\/api-keys)$|\/(typing|leave|end|reject|quality)$/;
const SAFE_POSTS = /\/(typing|leave|end|reject|quality)$|^\/v1\/stream-tickets$/;

/**
 * A signed-in user of one server, on one device (this tab).
 *
 * Events: `session` (the {@link Session}, or null when signed out, here or in another tab).
 *
 * @extends {Emitter<{ session: Session | null }>}
 */
export class Comblang extends Emitter {
    /** @type {Promise<string> | null} */
    #device = null;
    /** @type {Promise<void> | null} */
    #renewing = null;
    /** @type {string} */
    #key;

    /**
     * @param {object} [options]
     * @param {string} [options.url] of the server; the page's own by default
     * @param {"local" | "session" | "none"} [options.keep] where tokens are kept: for all tabs and after closing
     *     (default), for this tab, or in memory only
     * @param {string} [options.token] an access token or API key to use instead of signing in; it is never renewed
     * @param {string} [options.device] what to call this device; by default a name of this tab's own
     */
    constructor(options = {}) {
        super();
        /** Without a slash at its end. */
        this.url = (options.url ?? globalThis.location?.origin ?? "").replace(/\/+$/, "");
        this.#key = `comblang:session:${this.url}`;
        this.storage = new SafeStorage(() => {
            // A token that was given has nothing to do with who signed in to this browser.
            if (options.keep === "none" || options.token) throw new Error("not wanted");
            return options.keep === "session" ? sessionStorage : localStorage;
        });
        this.tabStorage = new SafeStorage(() => sessionStorage);
        /** @type {Session | null} */
        this.session = options.token ? null : this.storage.read(this.#key);
        /** @type {string | null} */
        this.fixedToken = options.token ?? null;
        /** @type {User | null} */
        this.fixedUser = null;
        if (options.device) this.#device = Promise.resolve(options.device);
        /** What this network lets through; all streams of this client learn from it. */
        this.wires = new WireChoice(this.tabStorage.read("comblang:wires") ?? undefined);
        // Another tab signed in, renewed or signed out.
        globalThis.addEventListener?.("storage", (event) => {
            const { key } = /** @type {StorageEvent} */ (event);
            // None is named when all is removed.
            if (key !== this.#key && key !== null) return;
            this.storage.forget(this.#key);
            this.#adopt(this.storage.read(this.#key), false);
        });
    }

    /** The signed-in user; null when there is none, or with a fixed token before {@link identify}. */
    get user() {
        return this.session?.user ?? this.fixedUser;
    }

    /**
     * Who asks. With a fixed token only the server knows.
     *
     * @returns {Promise<User>}
     */
    async identify() {
        if (!this.user) this.fixedUser = (await this.request("GET", "/v1/users/me")).body;
        return /** @type {User} */ (this.user);
    }

    /** Whether requests can be made. */
    get isSignedIn() {
        return this.session !== null || this.fixedToken !== null;
    }

    /** @param {Session | null} session @param {boolean} [isOurs] whether it is to be kept */
    #adopt(session, isOurs = true) {
        const before = this.session?.accessToken;
        this.session = session;
        if (isOurs) this.storage.write(this.#key, session);
        if (before !== session?.accessToken) this.emit("session", session);
    }

    /**
     * Makes an account, or without a password a guest, and signs in.
     *
     * @param {{ username: string, displayName?: string, color?: string, password?: string, invite?: string }} profile
     *     `invite` where the server asks for one
     * @returns {Promise<User>}
     */
    async signUp(profile) {
        const answer = await this.request("POST", "/v1/users", { body: profile, anonymous: true });
        this.#adopt(answer.body);
        return answer.body.user;
    }

    /** @param {{ username: string, password: string }} credentials @returns {Promise<User>} */
    async signIn(credentials) {
        const body = { grant: "password", ...credentials };
        const answer = await this.request("POST", "/v1/tokens", { body, anonymous: true, repeatable: true });
        this.#adopt(answer.body);
        return answer.body.user;
    }

    /** Revokes this session at the server, and forgets it here even if the server cannot be reached. */
    async signOut() {
        try {
            await this.request("DELETE", "/v1/tokens/current", { patienceMs: 3_000 });
        } catch (error) {
            if (Problem.from(error).slug !== "signed-out") throw error;
        } finally {
            this.fixedToken = null;
            this.fixedUser = null;
            this.#adopt(null);
        }
    }

    /**
     * Renews the access token, once for all who ask meanwhile, in whichever tab.
     *
     * @param {string} spent the token that is not good any more; if it was replaced meanwhile nothing is asked
     */
    renew(spent) {
        this.#renewing ??= withLock(`comblang-renew:${this.#key}`, () => this.#renew(spent))
            .finally(() => { this.#renewing = null; });
        return this.#renewing;
    }

    /** @param {string} spent */
    async #renew(spent) {
        const held = this.storage.read(this.#key);
        const kept = held ?? this.session;
        if (!kept) throw new Problem("signed-out", "There is no session");
        if (kept.accessToken !== spent) return this.#adopt(kept, false);
        const before = this.session;
        let session = null;
        let cause;
        try {
            const answer = await this.request("POST", "/v1/tokens", {
                body: { grant: "refresh", refreshToken: kept.refreshToken },
                anonymous: true, repeatable: true, patienceMs: REFRESH_PATIENCE_MS,
            });
            session = answer.body;
        } catch (error) {
            cause = Problem.from(error);
            if (cause.status !== 401) throw cause;
        }
        const present = held ? this.storage.read(this.#key) : this.session;
        // Signed out meanwhile, or in as somebody else: what was renewed is not wanted any more.
        if (this.session !== before || present?.accessToken !== spent) this.#adopt(present, false);
        else this.#adopt(session);
        if (!this.session) throw new Problem("signed-out", "The session has ended", { cause, status: 401 });
    }

    /**
     * The token to send.
     *
     * @returns {Promise<string>}
     */
    async token() {
        if (this.fixedToken) return this.fixedToken;
        if (!this.session) throw new Problem("signed-out", "Sign in first");
        // A wrong clock only makes this needless, or leaves it to the 401.
        if (Date.parse(this.session.expiresAt) - Date.now() < RENEW_BEFORE_MS) {
            await this.renew(this.session.accessToken).catch((error) => {
                if (!Problem.from(error).isTransient) throw error;
            });
        }
        if (!this.session) throw new Problem("signed-out", "Signed out meanwhile");
        return this.session.accessToken;
    }

    /**
     * What this tab calls itself, the same after a reload, never the same as another tab's.
     *
     * @returns {Promise<string>}
     */
    device() {
        this.#device ??= this.#claimDevice();
        return this.#device;
    }

    async #claimDevice() {
        const kept = this.tabStorage.read("comblang:device");
        if (typeof kept === "string" && await claim(`comblang-device:${kept}`)) return kept;
        // A duplicated tab comes with a copy of the other one's storage.
        const label = `tab-${randomText().slice(0, 12)}`;
        this.tabStorage.write("comblang:device", label);
        await claim(`comblang-device:${label}`);
        return label;
    }

    /**
     * One request with its answer. Passing failures are asked again when that cannot do it twice.
     *
     * @param {string} method
     * @param {string} path from `/v1` on
     * @param {RequestOptions} [options]
     * @returns {Promise<Answer>}
     * @throws {Problem}
     */
    async request(method, path, options = {}) {
        const key = options.key ?? (method === "POST" && !UNKEYED.test(path) ? randomText() : undefined);
        const repeatable = options.repeatable ?? (method !== "POST" || key !== undefined || SAFE_POSTS.test(path));
        const deadline = Date.now() + (options.patienceMs ?? PATIENCE_MS);
        let hasRenewed = false;
        for (let attempt = 0; ; attempt += 1) {
            const token = options.anonymous ? null : await this.token();
            try {
                return await this.#ask(method, path, options, token, key);
            } catch (error) {
                if (options.signal?.aborted) {
                    throw new Problem("aborted", "Aborted by the signal", { cause: options.signal.reason });
                }
                const problem = Problem.from(error);
                if (problem.status === 401 && token && !this.fixedToken && !hasRenewed) {
                    hasRenewed = true;
                    await this.renew(token);
                    continue;
                }
                const delay = Math.max(problem.retryAfterMs ?? 0, backoff(attempt));
                // A 429 was refused before anything happened.
                const mayRepeat = problem.isTransient && (repeatable || problem.status === 429);
                if (!mayRepeat || Date.now() + delay > deadline) throw problem;
                await sleep(delay, options.signal);
            }
        }
    }

    /**
     * @param {string} method @param {string} path @param {RequestOptions} options @param {string | null} token
     * @param {string | undefined} key
     * @returns {Promise<Answer>}
     */
    async #ask(method, path, options, token, key) {
        const timeout = new AbortController();
        const timer = setTimeout(() => timeout.abort(), options.timeoutMs ?? TIMEOUT_MS);
        const onAbort = () => timeout.abort();
        options.signal?.addEventListener("abort", onAbort);
        if (options.signal?.aborted) timeout.abort();
        try {
            const response = await fetch(this.#address(path, options.query), {
                method, signal: timeout.signal, keepalive: options.keepalive ?? false, cache: "no-store",
                headers: await this.#headers(token, key, options.body !== undefined),
                body: options.body === undefined ? undefined : JSON.stringify(options.body),
            });
            if (!response.ok) throw await Problem.of(response);
            const text = await response.text();
            return {
                status: response.status, body: text ? JSON.parse(text) : null,
                cursor: response.headers.get("Event-Cursor"), headers: response.headers,
            };
        } catch (error) {
            if (error instanceof SyntaxError) throw new Problem("unexpected-answer", "The answer is not JSON");
            if (timeout.signal.aborted && !options.signal?.aborted) throw new Problem("network", "No answer in time");
            throw error;
        } finally {
            clearTimeout(timer);
            options.signal?.removeEventListener("abort", onAbort);
        }
    }

    /** @param {string | null} token @param {string} [key] @param {boolean} [hasBody] */
    async #headers(token, key, hasBody = false) {
        /** @type {Record<string, string>} */
        const headers = {};
        if (token) {
            headers["Authorization"] = `Bearer ${token}`;
            headers["Comblang-Device"] = await this.device();
        }
        if (key) headers["Idempotency-Key"] = key;
        if (hasBody) headers["Content-Type"] = "application/json";
        return headers;
    }

    /** @param {string} path @param {RequestOptions["query"]} [query] */
    #address(path, query = {}) {
        const search = new URLSearchParams();
        for (const [name, value] of Object.entries(query)) {
            for (const one of Array.isArray(value) ? value : [value]) {
                if (one !== undefined && one !== null) search.append(name, String(one));
            }
        }
        return `${this.url}${path}${String(search) ? `?${search}` : ""}`;
    }

    /**
     * Opens a response whose body is read as it comes.
     *
     * @param {string} path @param {RequestOptions["query"]} query @param {AbortSignal} signal
     * @returns {Promise<Response>}
     */
    async open(path, query, signal) {
        const headers = await this.#headers(await this.token());
        const response = await fetch(this.#address(path, query), { headers, signal, cache: "no-store" });
        if (!response.ok) throw await Problem.of(response);
        return response;
    }

    /**
     * The URL of a WebSocket, with a ticket that opens it once.
     *
     * @param {RequestOptions["query"]} query @param {AbortSignal} signal
     */
    async webSocketAddress(query, signal) {
        const answer = await this.request("POST", "/v1/stream-tickets", { signal, patienceMs: 0 });
        const path = this.#address("/v1/ws", { ...query, ticket: answer.body.ticket });
        return path.replace(/^http/, "ws");
    }

    /**
     * Follows the log.
     *
     * @param {EventStreamOptions} [options]
     * @returns {EventStream} started
     */
    events(options = {}) {
        const stream = new EventStream(this, options);
        stream.start();
        return stream;
    }

    /**
     * Calls a room, or some of its members.
     *
     * Whoever was invited alone may be calling at this moment too: then theirs is joined instead.
     *
     * @param {string} room
     * @param {CallOptions & { invite?: string[], ringTimeoutSeconds?: number }} [options]
     * @returns {Promise<Call>} joined
     */
    async startCall(room, options = {}) {
        const { invite, ringTimeoutSeconds, ...rest } = options;
        return Call.place(this, rest, async (media) => {
            const body = { media: { audio: media.audio, video: media.video }, invite, ringTimeoutSeconds };
            try {
                return await this.request("POST", `/v1/rooms/${encodeURIComponent(room)}/calls`, { body });
            } catch (error) {
                const problem = Problem.from(error);
                if (problem.slug !== "call-glare" || !problem.body.call) throw problem;
                return this.request("POST", `/v1/calls/${problem.body.call.id}/join`, { body: { media } });
            }
        });
    }

    /**
     * Joins a call: one that rings, or an open invitation.
     *
     * @param {string} call its id
     * @param {CallOptions & { takeover?: boolean }} [options] `takeover` moves it here from another device of mine
     * @returns {Promise<Call>} joined
     */
    async joinCall(call, options = {}) {
        const { takeover, ...rest } = options;
        return Call.place(this, rest, (media) =>
            this.request("POST", `/v1/calls/${encodeURIComponent(call)}/join`, { body: { media, takeover } }));
    }

    /**
     * Declines a ring, on all of one's devices.
     *
     * @param {string} call
     * @param {string} [reason]
     */
    async rejectCall(call, reason) {
        await this.request("POST", `/v1/calls/${encodeURIComponent(call)}/reject`, { body: { reason } });
    }

    /** Keeps what was learned about the network for the next page of this tab. */
    keepWires() {
        this.tabStorage.write("comblang:wires", this.wires.stored);
    }
}

/**
 * Runs `body` while no other tab of this origin runs one of the same name; at once where there are no locks.
 *
 * @template Result @param {string} name @param {() => Promise<Result>} body @returns {Promise<Result>}
 */
function withLock(name, body) {
    const locks = globalThis.navigator?.locks;
    return locks ? locks.request(name, body) : body();
}

/**
 * Holds a name for as long as this page lives.
 *
 * @param {string} name @returns {Promise<boolean>} false if another tab holds it
 */
async function claim(name) {
    const locks = globalThis.navigator?.locks;
    if (!locks) return true;
    for (let attempt = 0; attempt < 3; attempt += 1) {
        /** @type {boolean} */
        const isOurs = await new Promise((resolve) => {
            locks.request(name, { ifAvailable: true }, (lock) => {
                resolve(lock !== null);
                return lock ? new Promise(() => {}) : undefined;
            }).catch(() => resolve(false));
        });
        if (isOurs) return true;
        // The page before a reload may not have let go yet.
        await sleep(100);
    }
    return false;
}

// MARK: One wire

/**
 * Why a connection ended.
 *
 * - `end`: the server said so, with its reason.
 * - `lost`: it was open and stopped without a word.
 * - `mute`, `refused`: it never came to `stream.ready`; `problem` says more if the server itself refused.
 * - `closed`: we closed it.
 *
 * @typedef {{ kind: "end" | "lost" | "mute" | "refused" | "closed", reason?: string, retryAfterMs?: number,
 *     problem?: Problem }} Ending
 */

/** One try of one wire, from its opening to its end. It hands on frames in their order and decides nothing. */
class Connection {
    /** @type {(isReady: boolean) => void} */
    #becomesReady = () => {};
    /** @type {(ending: Ending) => void} */
    #ends = () => {};
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #watch;
    #silenceMaxMs = Infinity;
    #heardAt = Date.now();

    /**
     * @param {EventStream} stream
     * @param {WireName} wire
     * @param {(connection: Connection, frame: Event) => void} take
     */
    constructor(stream, wire, take) {
        this.stream = stream;
        this.wire = wire;
        this.take = take;
        this.aborter = new AbortController();
        this.startedAt = Date.now();
        this.isReady = false;
        /** @type {Ending | null} */
        this.ending = null;
        /**
         * Whether `stream.ready` came; false if it ended before.
         *
         * @type {Promise<boolean>}
         */
        this.ready = new Promise((resolve) => { this.#becomesReady = resolve; });
        /** @type {Promise<Ending>} */
        this.ended = new Promise((resolve) => { this.#ends = resolve; });
        this.#watch = setTimeout(() => this.end({ kind: "mute" }), stream.muteMs);
        const run = { websocket: this.#webSocket, sse: this.#sse, poll: this.#poll }[wire];
        run.call(this).catch((error) => {
            const problem = Problem.from(error);
            this.end(this.isReady ? { kind: "lost", problem } : { kind: "refused", problem });
        });
    }

    /** How long it has been open. */
    get livedMs() {
        return Date.now() - this.startedAt;
    }

    /** @param {Ending} ending */
    end(ending) {
        if (this.ending) return;
        this.ending = ending;
        clearTimeout(this.#watch);
        this.aborter.abort();
        this.#becomesReady(false);
        this.#ends(ending);
    }

    close() {
        this.end({ kind: "closed" });
    }

    /** @param {number} silenceMaxMs */
    #opened(silenceMaxMs) {
        this.isReady = true;
        this.#silenceMaxMs = silenceMaxMs;
        clearTimeout(this.#watch);
        // A poll has a timeout of its own, and a timer of Infinity would go off at once.
        if (Number.isFinite(silenceMaxMs)) this.#listen(silenceMaxMs);
        this.#becomesReady(true);
    }

    /**
     * Ends a connection that has gone silent: a cable that was pulled tells nobody.
     *
     * @param {number} ms
     */
    #listen(ms) {
        this.#watch = setTimeout(() => {
            const silence = Date.now() - this.#heardAt;
            if (silence >= this.#silenceMaxMs) this.end({ kind: "lost", reason: "silent" });
            else this.#listen(this.#silenceMaxMs - silence);
        }, ms);
    }

    /** @param {string} text an envelope */
    #receive(text) {
        if (this.ending) return;
        this.#heardAt = Date.now();
        /** @type {Event} */
        let frame;
        try {
            frame = JSON.parse(text);
        } catch {
            // A proxy's page in the middle of our stream; the cursor stands where it did.
            return this.end({ kind: this.isReady ? "lost" : "refused", reason: "garbled" });
        }
        if (frame.type === "stream.end") {
            const { reason, retryAfterMs } = frame.data;
            return this.end({ kind: "end", reason, retryAfterMs });
        }
        if (frame.type === "stream.ready") this.#opened(frame.data.heartbeatSeconds * 1000 * HEARTBEATS_MISSED_MAX);
        this.take(this, frame);
    }

    async #webSocket() {
        const url = await this.stream.comblang.webSocketAddress(this.stream.query(true), this.aborter.signal);
        if (this.ending) return;
        const socket = new WebSocket(url);
        // Not 1000, which says goodbye: the device would leave its call.
        this.aborter.signal.addEventListener("abort", () => socket.close(CLOSE_CHANGING_WIRE));
        socket.onmessage = (message) => this.#receive(String(message.data));
        // A browser does not tell a refused upgrade from any other failure.
        socket.onclose = () => this.end({ kind: this.isReady ? "lost" : "refused" });
    }

    async #sse() {
        const { stream } = this;
        const query = { ...stream.query(false), pad: 1, names: 0, format: "sse" };
        const response = await stream.comblang.open(`${stream.path}/stream`, query, this.aborter.signal);
        if (!response.headers.get("Content-Type")?.startsWith("text/event-stream") || !response.body) {
            throw new Problem("unexpected-answer", "The answer is not a stream", { status: response.status });
        }
        const parser = new SSEParser();
        const decoder = new TextDecoder();
        const reader = response.body.getReader();
        while (!this.ending) {
            const { done, value } = await reader.read();
            if (done) return this.end({ kind: this.isReady ? "lost" : "refused" });
            this.#heardAt = Date.now();
            for (const text of parser.push(decoder.decode(value, { stream: true }))) this.#receive(text);
        }
    }

    /** The first answer comes at once and stands for `stream.ready`. */
    async #poll() {
        const { comblang } = this.stream;
        let failures = 0;
        while (!this.ending) {
            const wait = this.isReady ? comblang.wires.pollWaitSeconds : 0;
            const askedAt = Date.now();
            const requested = this.stream.cursor;
            try {
                const query = { ...this.stream.query(false), wait, limit: POLL_LIMIT };
                const { body } = await comblang.request("GET", this.stream.path, {
                    query, signal: this.aborter.signal, patienceMs: 0, timeoutMs: wait * 1000 + TIMEOUT_MS,
                });
                failures = 0;
                if (this.ending) return;
                if (!this.isReady) this.#opened(Infinity);
                for (const event of [...body.events, ...body.ephemeral]) this.take(this, event);
                this.take(this, control("stream.heartbeat", body.cursor, { cursor: body.cursor }));
            } catch (error) {
                const problem = Problem.from(error);
                if (this.ending) return;
                if (problem.slug === "cursor-expired") {
                    const { cursor } = problem.body;
                    this.take(this, control("stream.gap", cursor, { requested, cursor }));
                    continue;
                }
                failures += 1;
                const waitedSeconds = (Date.now() - askedAt) / 1000;
                // Cut while it waited: somebody on the way has less patience than we.
                const wasCut = problem.isTransient && !problem.retryAfterMs && waitedSeconds >= 1;
                if (!wasCut || failures >= CUTS_MAX) throw error;
                comblang.wires.pollWaitSeconds = Math.max(1, Math.floor(Math.min(wait, waitedSeconds) / 2));
            }
        }
    }
}

/** @param {string} type @param {string} cursor @param {Record<string, any>} data @returns {Event} */
function control(type, cursor, data) {
    return { id: cursor, type, at: new Date().toISOString(), data };
}

// MARK: The log, whatever the wire

/**
 * @typedef {object} EventStreamOptions
 * @property {string} [room] follows this room only (id or name)
 * @property {string} [call] follows this call only
 * @property {readonly string[]} [types] event types or families (`message.*`) to get; all by default
 * @property {readonly string[]} [rooms] only what is of these rooms
 * @property {string} [after] the cursor to go on from: `Event-Cursor` of the snapshot that was loaded. By default the
 *     log's end when the stream starts
 * @property {readonly WireName[]} [wires] best first; WebSocket, SSE, long-poll by default
 * @property {boolean} [share] one stream for all tabs of this browser that follow the same; off by default
 * @property {number} [muteMs] how long a stream may be mute after its opening; 5 s
 * @property {number} [probeMs] how often a better wire is tried while a lesser one is used; 5 min
 *
 * @typedef {{ wire: WireName, because: { wire: WireName, why: string }[], shared: boolean }} WireChange
 * @typedef {"connecting" | "open" | "waiting" | "closed"} StreamState
 * @typedef {{ event: Event, ephemeral: Event, wire: WireChange, state: StreamState, error: Problem,
 *     gap: { requested: string | null, cursor: string } }} EventStreamEvents
 */

/**
 * The log from a cursor on: every event once and in order, whatever wires it takes.
 *
 * Events:
 * - `event`: an {@link Event} of the log.
 * - `ephemeral`: one that is not in the log (`typing`), while a stream happens to be open.
 * - `wire`: which wire is used from now on, and which others did not get through.
 * - `gap`: the log does not reach back to the cursor (a long sleep): reload what you show; reading goes on.
 * - `state`: `connecting`, `open`, `waiting` (for the next try), `closed`.
 * - `error`: the stream is closed, as the server will not let it be read: `signed-out`, `not-found`, …
 *
 * @extends {Emitter<EventStreamEvents>}
 */
export class EventStream extends Emitter {
    /** @type {Connection | null} */
    #current = null;
    /** @type {Connection | null} */
    #candidate = null;
    /**
     * A better wire that is tried while the present one goes on, or has just ended.
     *
     * @type {Connection | null}
     */
    #probed = null;
    #attempt = 0;
    #wake = new AbortController();
    #closing = new AbortController();
    /** @type {TabShare | null} */
    #share = null;
    /** @type {{ resolve: () => void, reject: (problem: Problem) => void } | null} */
    #located = null;

    /** @param {Comblang} comblang @param {EventStreamOptions} [options] */
    constructor(comblang, options = {}) {
        super();
        this.comblang = comblang;
        this.options = options;
        this.muteMs = options.muteMs ?? MUTE_MS;
        /** @type {readonly WireName[]} */
        this.wireNames = options.wires?.length ? options.wires : ["websocket", "sse", "poll"];
        /**
         * The last position that was read; null before {@link ready}.
         *
         * @type {string | null}
         */
        this.cursor = options.after ?? null;
        /**
         * The wire in use; null while there is none.
         *
         * @type {WireName | null}
         */
        this.wire = null;
        /** @type {StreamState} */
        this.state = "connecting";
        /**
         * Fulfilled when the position is known from which on nothing is missed; what happens afterwards will come,
         * even if no wire is open yet. Rejected with the {@link Problem} that closed the stream before that; `closed`
         * if it was {@link close}.
         * @type {Promise<void>}
         */
        this.ready = new Promise((resolve, reject) => { this.#located = { resolve, reject }; });
        // Nobody has to ask: an `error` event tells the same.
        this.ready.catch(() => {});
    }

    /** Of polls; a stream's is the same with `/stream`. */
    get path() {
        const { room, call } = this.options;
        if (call) return `/v1/calls/${encodeURIComponent(call)}/events`;
        return room ? `/v1/rooms/${encodeURIComponent(room)}/events` : "/v1/events";
    }

    /** @param {boolean} isWebSocket whose path has no room and no call @returns {Record<string, any>} */
    query(isWebSocket) {
        const { types, rooms, room, call } = this.options;
        const scope = isWebSocket ? { call, room: room ? [room] : rooms } : { room: rooms };
        return { ...scope, types: types?.length ? types.join(",") : undefined, after: this.cursor ?? undefined };
    }

    /** Begins; {@link Comblang.events} has done so. */
    start() {
        globalThis.addEventListener?.("online", this.#onNetwork);
        globalThis.document?.addEventListener("visibilitychange", this.#onVisible);
        this.#run().catch((error) => this.#fail(Problem.from(error)));
    }

    /** Ends it; the cursor stays, for another one. */
    close() {
        if (this.state === "closed") return;
        globalThis.removeEventListener?.("online", this.#onNetwork);
        globalThis.document?.removeEventListener("visibilitychange", this.#onVisible);
        this.#setState("closed");
        this.#closing.abort();
        this.#wake.abort();
        this.#candidate?.close();
        this.#probed?.close();
        this.#current?.close();
        this.#share?.close();
        this.#located?.reject(new Problem("closed", "The stream was closed"));
    }

    /** Tries anew, at once: the network changed. Nothing is lost, as the cursor stays. */
    reconnect() {
        this.comblang.wires.forget();
        this.#attempt = 0;
        this.#candidate?.close();
        this.#probed?.close();
        this.#current?.end({ kind: "end", reason: "reconnect", retryAfterMs: 0 });
        this.#wake.abort();
    }

    #onNetwork = () => this.reconnect();
    #onVisible = () => {
        if (document.visibilityState === "visible" && this.state === "waiting") this.#wake.abort();
    };

    /** @param {StreamState} state */
    #setState(state) {
        if (this.state === state || this.state === "closed") return;
        this.state = state;
        if (state !== "open") this.wire = null;
        this.emit("state", state);
    }

    /** @param {Problem} problem */
    #fail(problem) {
        if (this.state === "closed") return;
        this.#located?.reject(problem);
        this.close();
        this.emit("error", problem);
    }

    async #run() {
        await this.#locate();
        if (this.state === "closed") return;
        if (this.options.share && globalThis.navigator?.locks && globalThis.BroadcastChannel) {
            const { user } = this.comblang;
            const scope = [this.comblang.url, user?.id, this.path, this.query(false).types, this.options.rooms];
            this.#share = new TabShare(`comblang-stream:${JSON.stringify(scope)}`, this.#host());
            return this.#share.run();
        }
        return this.#lead(this.#closing.signal);
    }

    /** Finds the log's end, if the stream begins there: from now on nothing may be missed. */
    async #locate() {
        while (this.cursor === null && this.state !== "closed") {
            try {
                const query = { ...this.query(false), wait: 0 };
                const answer = await this.comblang.request("GET", this.path, { query, signal: this.#closing.signal });
                this.cursor = answer.body.cursor;
            } catch (error) {
                const problem = Problem.from(error);
                if (!problem.isTransient) throw problem;
                await this.#waitFor(Math.max(problem.retryAfterMs ?? 0, backoff(this.#attempt)));
                this.#attempt += 1;
            }
        }
        this.#attempt = 0;
        if (this.state !== "closed") this.#located?.resolve();
    }

    /**
     * Reads until `signal`: a wire, the next one, …
     *
     * @param {AbortSignal} signal
     */
    async #lead(signal) {
        const stop = () => {
            this.#candidate?.close();
            this.#probed?.close();
            this.#current?.close();
            this.#wake.abort();
        };
        signal.addEventListener("abort", stop);
        while (!signal.aborted) {
            this.#setState("connecting");
            const { connection, ending } = await this.#establish();
            if (signal.aborted) {
                connection?.close();
                break;
            }
            if (connection) await this.#read(connection);
            else await this.#pauseAfter(ending);
        }
        signal.removeEventListener("abort", stop);
    }

    /**
     * Goes through the wires until one is ready. While that takes long, a poll reads in its place.
     *
     * @returns {Promise<{ connection: Connection | null, ending: Ending }>} the last ending, if none got through
     */
    async #establish() {
        const { wires } = this.comblang;
        /** @type {Connection | null} */
        let stopgap = null;
        const timer = setTimeout(() => {
            const isNeeded = this.#candidate !== null && this.#candidate.wire !== "poll";
            if (isNeeded && this.wireNames.includes("poll")) stopgap = this.#open("poll");
        }, STOPGAP_AFTER_MS);
        /** @type {Ending} */
        let ending = { kind: "closed" };
        try {
            for (const wire of wires.order(this.wireNames, Date.now())) {
                const waiting = wire === "poll" ? /** @type {Connection | null} */ (stopgap) : null;
                const connection = waiting ?? this.#open(wire);
                this.#candidate = connection;
                if (await connection.ready) {
                    if (connection === stopgap) stopgap = null;
                    return { connection, ending };
                }
                ending = await connection.ended;
                if (this.#isDecided(ending)) return { connection: null, ending };
                wires.failed(wire, ending.kind);
            }
            wires.nothingWorked();
            return { connection: null, ending };
        } finally {
            this.#candidate = null;
            clearTimeout(timer);
            /** @type {Connection | null} */ (stopgap)?.close();
        }
    }

    /**
     * Whether another wire would get the same answer.
     *
     * @param {Ending} ending
     */
    #isDecided(ending) {
        if (ending.kind === "closed" || ending.kind === "end") return true;
        const { problem } = ending;
        return problem !== undefined && problem.slug !== "network" && problem.slug !== "unexpected-answer";
    }

    /** @param {WireName} wire */
    #open(wire) {
        return new Connection(this, wire, (connection, frame) => this.#take(connection, frame));
    }

    /**
     * Uses a connection that is ready to its end, or to that of the better one which took its place.
     *
     * @param {Connection} first
     */
    async #read(first) {
        this.#use(first);
        const probing = setInterval(() => this.#probe(), this.options.probeMs ?? DEMOTED_MS);
        for (;;) {
            const connection = this.#current;
            if (!connection) break;
            const ending = await connection.ended;
            if (this.#current !== connection) continue;
            this.#current = null;
            if (connection.livedMs > BACKOFF_MAX_MS / 2) this.#attempt = 0;
            if (ending.kind === "lost") {
                const isSilent = ending.reason === "silent";
                this.comblang.wires.cut(connection.wire, connection.livedMs, Date.now(), isSilent);
                this.comblang.keepWires();
            }
            clearInterval(probing);
            return this.#pauseAfter(ending);
        }
        clearInterval(probing);
    }

    /** @param {Connection} connection ready */
    #use(connection) {
        const because = this.comblang.wires.worked(connection.wire, Date.now());
        this.comblang.keepWires();
        this.#current = connection;
        this.#setState("open");
        this.wire = connection.wire;
        const change = { wire: connection.wire, because, shared: false };
        this.emit("wire", change);
        this.#share?.tell({ kind: "wire", change });
    }

    /** Tries a better wire while the present one goes on. Events may come over both: each is taken once. */
    async #probe() {
        const { wires } = this.comblang;
        const present = this.#current;
        const better = present && wires.better(this.wireNames, present.wire, Date.now());
        if (!present || !better || this.#probed) return;
        const connection = this.#open(better);
        this.#probed = connection;
        const isReady = await connection.ready;
        this.#probed = null;
        if (!isReady) {
            const ending = await connection.ended;
            // What we closed, or the server itself refused, says nothing about the wire.
            if (this.#isDecided(ending)) return;
            wires.failed(better, ending.kind);
            // The present one does get through.
            if (this.#current === present) wires.worked(present.wire, Date.now());
        } else if (this.#current === present && !connection.ending) {
            this.#use(connection);
            present.close();
        } else {
            connection.close();
        }
    }

    /**
     * What an ending means for the next try.
     *
     * @param {Ending} ending
     */
    async #pauseAfter(ending) {
        if (this.state === "closed" || ending.kind === "closed") return;
        const { problem, reason } = ending;
        if (reason === "expired" || reason === "revoked" || problem?.status === 401) {
            const spent = this.comblang.session?.accessToken;
            if (!spent || this.comblang.fixedToken) throw new Problem("signed-out", "The token is not good any more");
            // Throws `signed-out` when there is no way back; a lost connection is met by the next try.
            await this.comblang.renew(spent).catch((error) => {
                if (!Problem.from(error).isTransient) throw error;
            });
            if (reason === "expired") return;
        } else if (problem && this.#isDecided(ending) && !problem.isTransient) {
            throw problem;
        }
        const told = ending.retryAfterMs ?? problem?.retryAfterMs;
        // Two cuts in a row wait longer; one that was announced has its jitter from the server.
        const delay = told ?? backoff(this.#attempt);
        this.#attempt += 1;
        await this.#waitFor(told === undefined ? delay : told + Math.random() * Math.min(told, 1000));
    }

    /** @param {number} ms */
    async #waitFor(ms) {
        if (this.state === "closed") return;
        this.#setState("waiting");
        this.#wake = new AbortController();
        await sleep(ms, this.#wake.signal);
    }

    /**
     * A frame of a wire.
     *
     * @param {Connection} connection
     * @param {Event} frame
     */
    #take(connection, frame) {
        if (this.state === "closed" || connection.ending) return;
        switch (frame.type) {
            case "stream.ready":
                return;
            case "stream.gap":
                return this.#skip(frame.data.requested ?? null, frame.data.cursor);
            case "stream.heartbeat":
                return this.#moveTo(frame.data.cursor);
            case "typing":
                // The stopgap or the candidate may hear it as well.
                if (this.#current && connection !== this.#current) return;
                this.emit("ephemeral", frame);
                this.#share?.tell({ kind: "ephemeral", event: frame });
                return;
            default:
                this.#takeEvent(frame);
        }
    }

    /** @param {Event} event @param {boolean} [isOurs] whether this tab read it itself */
    #takeEvent(event, isOurs = true) {
        const before = this.cursor;
        // Two wires may overlap for a moment, and two tabs.
        if (before !== null && (compareCursors(event.id, before) ?? 1) <= 0) return;
        this.cursor = event.id;
        if (isOurs) this.#share?.tell({ kind: "event", event, before });
        this.emit("event", event);
    }

    /** @param {string} cursor @param {boolean} [isOurs] */
    #moveTo(cursor, isOurs = true) {
        const before = this.cursor;
        if (before === null || (compareCursors(cursor, before) ?? -1) > 0) this.cursor = cursor;
        if (isOurs) this.#share?.tell({ kind: "position", cursor: this.cursor, before });
    }

    /** @param {string | null} requested @param {string} cursor @param {boolean} [isOurs] */
    #skip(requested, cursor, isOurs = true) {
        // A wire that was opened at the same position as another one tells what that one told, and we are past it.
        const present = this.cursor;
        const isOld = requested !== null && present !== null && requested !== present;
        if (isOld && (compareCursors(cursor, present) ?? 1) <= 0) return;
        this.cursor = cursor;
        if (isOurs) this.#share?.tell({ kind: "gap", requested, cursor });
        this.emit("gap", { requested, cursor });
    }

    /**
     * What sharing tabs need of this stream.
     *
     * @returns {ShareHost}
     */
    #host() {
        return {
            lead: (signal) => this.#lead(signal),
            position: () => ({ cursor: this.cursor, wire: this.wire }),
            followed: (wire, because) => {
                this.#setState(wire ? "open" : "connecting");
                if (wire === null || wire === this.wire) return;
                this.wire = wire;
                this.emit("wire", { wire, because, shared: true });
            },
            take: (event) => this.#takeEvent(event, false),
            moveTo: (cursor) => this.#moveTo(cursor, false),
            ephemeral: (event) => this.emit("ephemeral", event),
            catchUp: () => this.#catchUp(),
            fail: (problem) => this.#fail(problem),
        };
    }

    /** Reads what this tab missed of the leader's, by polls that do not wait. */
    async #catchUp() {
        for (let hasMore = true; hasMore && this.state !== "closed";) {
            try {
                const query = { ...this.query(false), wait: 0, limit: POLL_LIMIT };
                const { body } = await this.comblang.request("GET", this.path, { query, signal: this.#closing.signal });
                for (const event of body.events) this.#takeEvent(event, false);
                this.#moveTo(body.cursor, false);
                hasMore = body.more;
            } catch (error) {
                const problem = Problem.from(error);
                if (problem.slug !== "cursor-expired") throw problem;
                this.#skip(this.cursor, problem.body.cursor, false);
            }
        }
    }
}

// MARK: One stream for all tabs

/**
 * @typedef {{ kind: "event", event: Event, before: string | null }
 *     | { kind: "position", cursor: string | null, before: string | null }
 *     | { kind: "ephemeral", event: Event }
 *     | { kind: "gap", requested: string | null, cursor: string }
 *     | { kind: "wire", change: WireChange }
 *     | { kind: "greeting", cursor: string | null, wire: WireName | null }
 *     | { kind: "hello" }} ShareMessage
 *
 * @typedef {object} ShareHost
 * @property {(signal: AbortSignal) => Promise<void>} lead reads by itself until `signal`
 * @property {() => { cursor: string | null, wire: WireName | null }} position
 * @property {(wire: WireName | null, because: { wire: WireName, why: string }[]) => void} followed
 * @property {(event: Event) => void} take
 * @property {(cursor: string) => void} moveTo
 * @property {(event: Event) => void} ephemeral
 * @property {() => Promise<void>} catchUp
 * @property {(problem: Problem) => void} fail
 */

/**
 * One tab leads (it holds the lock) and tells the others what it reads. Each message names the position before it, so
 * that a tab which missed one knows, and reads what it lacks by itself. When the leader is closed the browser gives the
 * lock to the next, which goes on from its own cursor.
 */
class TabShare {
    #closing = new AbortController();
    #isLeading = false;
    #heardAt = Date.now();
    /** @type {Promise<void> | null} */
    #catchingUp = null;

    /** @param {string} name @param {ShareHost} host */
    constructor(name, host) {
        this.name = name;
        this.host = host;
        this.channel = new BroadcastChannel(name);
        this.channel.onmessage = (message) => this.#receive(message.data);
        this.watch = setInterval(() => this.#checkLeader(), LEADER_SILENCE_MS / 5);
    }

    close() {
        this.#closing.abort();
        clearInterval(this.watch);
        this.channel.close();
    }

    /** @param {ShareMessage} message to the other tabs, if this one leads */
    tell(message) {
        if (this.#isLeading && !this.#closing.signal.aborted) this.channel.postMessage(message);
    }

    /** Leads or follows until closed. */
    async run() {
        this.channel.postMessage({ kind: "hello" });
        while (!this.#closing.signal.aborted) {
            try {
                await navigator.locks.request(this.name, { signal: this.#closing.signal }, () => this.#lead());
            } catch (error) {
                const wasTaken = error instanceof DOMException && error.name === "AbortError";
                if (!wasTaken) throw error;
                // Closed; or we were frozen and another tab leads now: wait for our turn again.
                this.stopLeading?.();
            }
        }
    }

    async #lead() {
        // The turn may have come while it was closed: nobody would end that.
        if (this.#closing.signal.aborted) return;
        this.#isLeading = true;
        const leading = new AbortController();
        const stop = () => leading.abort();
        this.#closing.signal.addEventListener("abort", stop);
        this.stopLeading = stop;
        try {
            await this.host.lead(leading.signal);
        } catch (error) {
            this.host.fail(Problem.from(error));
        } finally {
            this.#isLeading = false;
            this.#closing.signal.removeEventListener("abort", stop);
        }
    }

    /** A leader that is frozen holds its lock and tells nothing. */
    #checkLeader() {
        if (this.#isLeading || Date.now() - this.#heardAt < LEADER_SILENCE_MS) return;
        this.#heardAt = Date.now();
        navigator.locks.request(this.name, { steal: true }, () => this.#lead()).catch(() => {});
    }

    /** @param {ShareMessage} message */
    #receive(message) {
        if (message.kind === "hello") {
            this.tell({ kind: "greeting", ...this.host.position() });
            return;
        }
        this.#heardAt = Date.now();
        // Another tab leads: it took the lock while we were frozen.
        if (this.#isLeading) return this.stopLeading?.();
        switch (message.kind) {
            case "wire": return this.host.followed(message.change.wire, message.change.because);
            case "ephemeral": return this.host.ephemeral(message.event);
            case "event":
                if (this.#isNext(message.before)) this.host.take(message.event);
                else this.#catchUp();
                return;
            case "position":
                if (message.cursor === null) return;
                if (this.#isNext(message.before)) this.host.moveTo(message.cursor);
                else this.#catchUp();
                return;
            // What the leader lost this tab may still be told; if not, the poll says so.
            case "gap": return this.#catchUp();
            case "greeting":
                this.host.followed(message.wire, []);
                if (message.cursor !== null && !this.#isNext(message.cursor)) this.#catchUp();
        }
    }

    /**
     * Whether nothing lies between this tab's position and `before`.
     *
     * @param {string | null} before
     */
    #isNext(before) {
        const { cursor } = this.host.position();
        if (before === null || cursor === null) return false;
        return (compareCursors(before, cursor) ?? 1) <= 0;
    }

    /** What comes meanwhile is passed over: whatever it is, the poll or the message after it finds it. */
    #catchUp() {
        this.#catchingUp ??= this.host.catchUp()
            .catch((error) => {
                const problem = Problem.from(error);
                if (!problem.isTransient) this.host.fail(problem);
            })
            .finally(() => { this.#catchingUp = null; });
    }

    /** @type {(() => void) | undefined} */
    stopLeading;
}

// MARK: Calls

/**
 * @typedef {{ audio: boolean, video: boolean, screen: boolean }} Media
 * @typedef {{ user: string, username: string | null, displayName: string | null, color: string | null,
 *     device: string | null, leg: string | null, state: "invited" | "joined" | "rejected" | "left" | "lost",
 *     busy: boolean, media: Media, connection: string | null }} Participant
 * @typedef {{ id: string, room: string, initiator: string, state: "ringing" | "connecting" | "active" | "ended",
 *     endReason: string | null, endedBy: string | null, participants: Participant[],
 *     media: { audio: boolean, video: boolean } }} CallRecord
 * @typedef {{ id: string, from: string, leg: string, toLeg: string, type: string, sdp?: string, offer?: string,
 *     candidates?: RTCIceCandidateInit[], end?: boolean, reason?: string, encrypted?: boolean, payload?: any }} Signal
 *
 * @typedef {object} CallOptions
 * @property {boolean} [audio] with the microphone; true by default
 * @property {boolean} [video] with the camera; true by default
 * @property {MediaStream} [stream] what to send, instead of asking for microphone and camera. It is the caller's to
 *     stop
 * @property {(participant: Participant) => boolean | Promise<boolean>} [accept] asked before the first offer of
 *     somebody who joins this call is answered; false declines
 * @property {readonly WireName[]} [wires] as of {@link EventStreamOptions}
 * @property {RTCConfiguration} [configuration] laid over what the server says (`iceTransportPolicy: "relay"`)
 *
 * @typedef {{ stream: { user: string, stream: MediaStream }, peer: { user: string, state: string },
 *     left: { user: string, reason: string }, record: CallRecord, participant: Participant, local: MediaStream,
 *     wire: WireChange, signal: Signal, problem: Problem, ended: { reason: string, record: CallRecord } }} CallEvents
 */

/**
 * One's place in one call: a connection to each other participant.
 *
 * Events:
 * - `stream` {user, stream}: somebody's media; the stream stays the same when tracks come and go.
 * - `peer` {user, state}: how the connection to somebody is (`RTCPeerConnectionState`).
 * - `left` {user, reason}: somebody is gone (`left`, `lost`, `rejected`, `replaced` by their next leg).
 * - `record`: the server's {@link CallRecord} changed.
 * - `participant`: one {@link Participant} of it did: muted, joined, rung.
 * - `local` (MediaStream): what is sent changed: a camera came or the screen is shared.
 * - `wire` (WireChange): how signals come in.
 * - `signal` (Signal): a `custom` or encrypted one, which is the application's to read.
 * - `problem` (Problem): something went wrong and the call goes on.
 * - `ended` {reason, record}: once, last. Reasons: those of the record, `left` (by us), `elsewhere` (another device
 *   of ours took over), `rejected`, `lost`, `signed-out`, `not-found`.
 *
 * @extends {Emitter<CallEvents>}
 */
export class Call extends Emitter {
    /** @type {Map<string, PeerLink>} */
    #links = new Map();
    /** @type {Media} */
    #media = { audio: false, video: false, screen: false };
    #screenTrack = /** @type {MediaStreamTrack | null} */ (null);
    /**
     * What the user asked for last, which may change while the browser asks for the device.
     *
     * @type {{ audio?: boolean, video?: boolean }}
     */
    #wanted = {};
    #isOver = false;
    #rejoins = 0;
    #isRejoining = false;
    /** @type {string | null} */
    #networkType = null;
    /**
     * What the server has not been told yet.
     *
     * @type {{ media?: Media, connection?: string }}
     */
    #unreported = {};
    #isReporting = false;
    #reportedConnection = "";
    /** Ends the waits for another try: the wire is back, or the call is over. */
    #again = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #settling;
    #measuresQuality = true;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    #qualityTimer;

    /**
     * Gets the media, asks the server for the place, and starts. Use {@link Comblang.startCall} and `joinCall`.
     *
     * @param {Comblang} comblang
     * @param {CallOptions} options
     * @param {(media: Media) => Promise<Answer>} ask creates or joins
     */
    static async place(comblang, options, ask) {
        await comblang.identify();
        const stream = options.stream ?? (await openMedia(options.audio ?? true, options.video ?? true));
        const media = {
            audio: stream.getAudioTracks().length > 0, video: stream.getVideoTracks().length > 0, screen: false,
        };
        try {
            return new Call(comblang, options, stream, media, await ask(media));
        } catch (error) {
            if (!options.stream) for (const track of stream.getTracks()) track.stop();
            throw error;
        }
    }

    /**
     * @param {Comblang} comblang @param {CallOptions} options @param {MediaStream} stream @param {Media} media
     * @param {Answer} answer of creating or joining
     */
    constructor(comblang, options, stream, media, answer) {
        super();
        this.comblang = comblang;
        this.options = options;
        /** What is sent. */
        this.localStream = stream;
        this.#media = media;
        /**
         * The server's record.
         *
         * @type {CallRecord}
         */
        this.record = answer.body.call;
        this.id = this.record.id;
        /** @type {RTCConfiguration} */
        this.configuration = {};
        this.leg = "";
        this.me = "";
        /** @type {string | null} */
        this.device = null;
        this.leaveToken = "";
        /** How signals come in. Of its own, as they are for this device only. */
        const after = answer.cursor ?? undefined;
        this.events = new EventStream(comblang, { call: this.id, after, wires: options.wires });
        this.#placed(answer);
        this.events.on("event", (event) => this.#take(event));
        this.events.on("gap", () => this.#reload());
        this.events.on("wire", (change) => {
            this.emit("wire", change);
            this.#again.abort();
            this.#again = new AbortController();
            for (const link of this.#links.values()) link.signalingCameBack();
        });
        this.events.on("error", (problem) => this.#finish(problem.slug));
        this.events.start();
        this.#listen();
    }

    /**
     * Takes the place that the server gave.
     *
     * @param {Answer} answer
     */
    #placed(answer) {
        this.record = answer.body.call;
        this.leaveToken = answer.body.leaveToken;
        this.configuration = this.#configured(answer.body.iceServers);
        this.me = this.comblang.user?.id ?? "";
        const mine = this.participant(this.me);
        this.leg = mine?.leg ?? "";
        this.device = mine?.device ?? null;
        // Who joins offers: the others wait for it.
        for (const peer of answer.body.peers ?? []) this.#link(peer.user, peer.leg).invite();
    }

    /** @param {Record<string, any>} told an `RTCConfiguration` with `ttlSeconds` */
    #configured(told) {
        const { ttlSeconds, ...configuration } = told;
        return { ...configuration, ...this.options.configuration };
    }

    #listen() {
        globalThis.addEventListener("pagehide", this.#onPageHide);
        globalThis.addEventListener("online", this.#onNetwork);
        const connection = /** @type {any} */ (navigator).connection;
        this.#networkType = connection?.type ?? null;
        connection?.addEventListener?.("change", this.#onConnection);
        this.#qualityTimer = setInterval(() => this.#reportQuality(), QUALITY_MS);
    }

    /** A page that is closed cannot wait for an answer. */
    #onPageHide = () => {
        if (this.#isOver) return;
        navigator.sendBeacon(
            `${this.comblang.url}/v1/calls/${this.id}/leave`, JSON.stringify({ leaveToken: this.leaveToken }));
        this.#finish("left");
    };
    #onNetwork = () => this.restartICE();
    /** Also told of a mere change of speed. */
    #onConnection = () => {
        const type = /** @type {any} */ (navigator).connection?.type ?? null;
        if (type === this.#networkType) return;
        this.#networkType = type;
        this.events.reconnect();
        this.restartICE();
    };

    // MARK: What the user does

    /** What is on: the microphone, the camera, the screen. */
    get media() {
        return { ...this.#media };
    }

    /** Whether it is over here. */
    get isOver() {
        return this.#isOver;
    }

    /** @param {boolean} isOn the microphone keeps running, so that this is instant; silence is sent */
    async setAudio(isOn) {
        await this.#setTrack("audio", isOn);
    }

    /** @param {boolean} isOn as {@link setAudio}; black is sent */
    async setVideo(isOn) {
        await this.#setTrack("video", isOn);
    }

    /** @param {"audio" | "video"} kind @param {boolean} isOn */
    async #setTrack(kind, isOn) {
        this.#wanted[kind] = isOn;
        const track = this.localStream.getTracks().find((one) => one.kind === kind);
        if (track) track.enabled = isOn;
        if (track || !isOn) return this.#changeMedia({ [kind]: isOn });
        const [opened] = (await openMedia(kind === "audio", kind === "video")).getTracks();
        if (this.#isOver || !this.#wanted[kind]) opened.stop();
        if (this.#isOver) throw new Problem("closed", "The call is over");
        if (this.#wanted[kind]) await this.useTrack(opened);
    }

    /**
     * Sends another microphone or camera from now on. The former track is stopped, unless it was the application's.
     *
     * @param {MediaStreamTrack} track
     */
    async useTrack(track) {
        const former = this.localStream.getTracks().find((one) => one.kind === track.kind);
        if (former) this.localStream.removeTrack(former);
        this.localStream.addTrack(track);
        if (former && !this.options.stream) former.stop();
        // Before anything is waited for: what the user does meanwhile is newer.
        this.#changeMedia({ [track.kind]: track.enabled });
        this.emit("local", this.localStream);
        if (!(track.kind === "video" && this.#screenTrack)) await this.#toAll((link) => link.send(track));
    }

    /**
     * Shares the screen in place of the camera; asks the user which.
     *
     * @returns {Promise<MediaStream>} to show what is shared
     */
    async shareScreen() {
        let stream;
        try {
            stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
        } catch (error) {
            throw new Problem("media", error instanceof Error ? error.message : String(error), { cause: error });
        }
        const [track] = stream.getVideoTracks();
        if (this.#isOver) {
            track.stop();
            throw new Problem("closed", "The call is over");
        }
        this.#screenTrack?.stop();
        this.#screenTrack = track;
        track.addEventListener("ended", () => { if (this.#screenTrack === track) this.stopScreen(); });
        this.#changeMedia({ screen: true });
        this.emit("local", stream);
        await this.#toAll((link) => link.send(track));
        return stream;
    }

    /** Back to the camera. */
    async stopScreen() {
        const track = this.#screenTrack;
        if (!track) return;
        this.#screenTrack = null;
        track.stop();
        const camera = this.localStream.getVideoTracks()[0] ?? null;
        this.#changeMedia({ screen: false });
        this.emit("local", this.localStream);
        await this.#toAll((link) => link.send(camera, "video"));
    }

    /**
     * Rings more people.
     *
     * @param {string[]} users ids or `@username`
     */
    async invite(users) {
        await this.comblang.request("POST", `/v1/calls/${this.id}/invite`, { body: { users } });
    }

    /**
     * Something of the application's own to one peer.
     *
     * @param {string} user
     * @param {any} payload JSON of 16 KiB at most
     */
    async sendCustom(user, payload) {
        return (await this.signal({ to: user, type: "custom", payload })).body;
    }

    /**
     * Leaves. Here it is over at once; the promise tells when the server knows.
     *
     * @param {string} [reason]
     */
    async leave(reason) {
        await this.#hangUp("leave", reason);
    }

    /**
     * Ends it for all; who may not, leaves.
     *
     * @param {string} [reason]
     */
    async end(reason) {
        try {
            await this.#hangUp("end", reason);
        } catch (error) {
            if (Problem.from(error).slug !== "forbidden") throw error;
            await this.#hangUp("leave", reason);
        }
    }

    /** @param {"leave" | "end"} how @param {string} [reason] */
    async #hangUp(how, reason) {
        const { leaveToken } = this;
        this.#finish("left");
        await this.comblang.request("POST", `/v1/calls/${this.id}/${how}`, {
            body: { reason, leaveToken }, anonymous: true, keepalive: true, patienceMs: 60_000,
        });
    }

    /** Looks for a new way to every peer: the network changed. */
    restartICE() {
        for (const link of this.#links.values()) link.restart();
    }

    /**
     * How the connections are, by user.
     *
     * @returns {Record<string, string>}
     */
    get connections() {
        return Object.fromEntries([...this.#links].map(([user, link]) => [user, link.pc.connectionState]));
    }

    /**
     * The connection to one participant, for its statistics.
     *
     * @param {string} user
     */
    peerConnection(user) {
        return this.#links.get(user)?.pc ?? null;
    }

    // MARK: What the server says

    /** @param {Event} event */
    #take(event) {
        if (this.#isOver) return;
        const { data } = event;
        switch (event.type) {
            case "signal": return this.#takeSignal(/** @type {Signal} */ (data));
            case "call.participant": return this.#takeParticipant(/** @type {any} */ (data));
            case "call.updated": return this.#takeRecord(/** @type {any} */ (data));
            case "call.ended":
                this.#takeRecord(/** @type {any} */ (data));
                return this.#finish(data.endReason ?? "ended");
            case "call.answered-elsewhere":
                if (this.device && data.device !== this.device) this.#finish("elsewhere");
                return;
            case "ice-servers.refresh": return void this.#refreshServers();
            case "signal.expired":
                for (const link of this.#links.values()) link.signalExpired(data.signal);
        }
    }

    /** @param {CallRecord} record */
    #takeRecord(record) {
        this.record = record;
        this.emit("record", record);
    }

    /** @param {Signal} signal */
    #takeSignal(signal) {
        if (signal.toLeg && signal.toLeg !== this.leg) return;
        if (signal.encrypted || signal.type === "custom") return this.emit("signal", signal);
        const link = this.#links.get(signal.from);
        if (link?.leg === signal.leg) return link.take(signal);
        // A new leg of theirs begins with its offer; whatever else is of an old one.
        if (signal.type === "offer") this.#link(signal.from, signal.leg).take(signal);
    }

    /** @param {Participant} participant */
    #takeParticipant(participant) {
        const others = this.record.participants.filter((one) => one.user !== participant.user);
        this.record = { ...this.record, participants: [...others, participant] };
        if (participant.user === this.me) this.#takeMyself(participant);
        else if (participant.state === "joined") {
            const link = this.#links.get(participant.user);
            if (link && link.leg !== participant.leg) this.#drop(participant.user, "replaced");
        } else if (participant.state !== "invited") {
            this.#drop(participant.user, participant.state);
        }
        if (!this.#isOver) this.emit("participant", participant);
    }

    /** @param {Participant} mine */
    #takeMyself(mine) {
        // Legs are sortable: what is told of an earlier one of ours is history.
        if (mine.leg && mine.leg < this.leg) return;
        // The event of our own joining may be quicker than its answer.
        if (this.#isRejoining) return;
        if (mine.state === "joined") {
            if (mine.leg !== this.leg) this.#finish("elsewhere");
        } else if (mine.state === "lost") {
            this.#rejoin();
        } else {
            this.#finish(mine.state);
        }
    }

    /** The lease ran out while the network was away; the call may still be there. */
    async #rejoin() {
        if (this.#isRejoining) return;
        this.#rejoins += 1;
        if (this.#rejoins > REJOINS_MAX) return this.#finish("lost");
        this.#isRejoining = true;
        let told = this.#media;
        try {
            const answer = await this.#insist(() => {
                told = this.#media;
                return this.comblang.request("POST", `/v1/calls/${this.id}/join`, { body: { media: told } });
            });
            if (!answer) return;
            // The former place's token does not leave this one.
            this.leaveToken = answer.body.leaveToken;
            if (this.#isOver) return void this.#hangUp("leave").catch(() => {});
            for (const user of [...this.#links.keys()]) this.#drop(user, "replaced");
            this.#placed(answer);
            this.#reportedConnection = "";
            // What changed meanwhile was refused, as there was no place.
            if (told !== this.#media) this.#changeMedia({});
            this.emit("record", this.record);
        } catch (error) {
            const problem = Problem.from(error);
            this.emit("problem", problem);
            this.#finish(problem.slug === "call-ended" ? "lost" : problem.slug);
        } finally {
            this.#isRejoining = false;
        }
    }

    /** The log does not reach back: what is true now is asked for. */
    async #reload() {
        try {
            const answer = await this.#insist(() => this.comblang.request("GET", `/v1/calls/${this.id}`));
            if (!answer || this.#isOver) return;
            const { body } = answer;
            this.#takeRecord(body);
            if (body.state === "ended") return this.#finish(body.endReason ?? "ended");
            for (const participant of body.participants) this.#takeParticipant(participant);
            // Signals of the gap are lost: new offers make up for them.
            this.restartICE();
        } catch (error) {
            this.emit("problem", Problem.from(error));
        }
    }

    async #refreshServers() {
        try {
            const query = { call: this.id };
            const answer = await this.#insist(() => this.comblang.request("GET", "/v1/ice-servers", { query }));
            if (!answer || this.#isOver) return;
            this.configuration = this.#configured(answer.body);
            await this.#toAll((link) => link.configure(this.configuration));
        } catch (error) {
            this.emit("problem", Problem.from(error));
        }
    }

    // MARK: Peers

    /**
     * A fresh connection to a participant's leg; one to an earlier leg is over.
     *
     * @param {string} user
     * @param {string} leg
     */
    #link(user, leg) {
        this.#drop(user, "replaced");
        const link = new PeerLink(this, user, leg);
        this.#links.set(user, link);
        const screen = this.#screenTrack;
        const tracks = this.localStream.getTracks().filter((track) => !(track.kind === "video" && screen));
        for (const track of screen ? [...tracks, screen] : tracks) {
            link.send(track).catch((error) => this.problem(error));
        }
        return link;
    }

    /**
     * At all peers at once. One that fails, as its peer is leaving, keeps nothing from the others.
     *
     * @param {(link: PeerLink) => Promise<void>} step
     */
    async #toAll(step) {
        const links = [...this.#links.values()];
        await Promise.all(links.map((link) => step(link).catch((error) => this.problem(error))));
    }

    /** @param {string} user @param {string} reason */
    #drop(user, reason) {
        const link = this.#links.get(user);
        if (!link) return;
        this.#links.delete(user);
        link.close();
        if (!this.#isOver) {
            this.emit("left", { user, reason });
            this.reportConnection();
        }
    }

    /** @param {string} user @returns {Participant | undefined} */
    participant(user) {
        return this.record.participants.find((participant) => participant.user === user);
    }

    /** @param {Record<string, any>} body */
    signal(body) {
        return this.comblang.request("POST", `/v1/calls/${this.id}/signals`, { body, patienceMs: 30_000 });
    }

    // These are for the links, which are of this module.

    /** @param {string} user @param {MediaStream} stream */
    peerStream(user, stream) {
        this.emit("stream", { user, stream });
    }

    /** @param {string} user @param {string} state */
    peerState(user, state) {
        this.emit("peer", { user, state });
        this.reportConnection();
    }

    /** @param {unknown} error */
    problem(error) {
        const problem = Problem.from(error);
        // What the events tell anyway is no news.
        const isTold = ["not-joined", "call-ended", "closed"].includes(problem.slug);
        if (!this.#isOver && !isTold) this.emit("problem", problem);
    }

    /** @param {PeerLink} link too much waits at it: begin anew */
    overflowed(link) {
        this.emit("problem", new Problem("closed", `Too many signals wait for ${link.user}`));
        this.#rejoin();
    }

    // MARK: Telling the server

    /** @param {Partial<Media>} change */
    #changeMedia(change) {
        this.#media = { ...this.#media, ...change };
        this.#unreported.media = { ...this.#media };
        this.#report();
    }

    /**
     * Says what ICE says: of all connections, the best.
     *
     * @param {boolean} [isSettled] whether bad news is older than a moment: a peer that leaves looks like one at first
     */
    reportConnection(isSettled = false) {
        const states = Object.values(this.connections);
        const known = ["connected", "disconnected", "failed"].find((state) => states.includes(state));
        if (!known || known === this.#reportedConnection || this.#isOver) return;
        if (known !== "connected" && !isSettled) {
            clearTimeout(this.#settling);
            this.#settling = setTimeout(() => this.reportConnection(true), SETTLING_MS);
            return;
        }
        this.#reportedConnection = known;
        this.#unreported.connection = known;
        this.#report();
    }

    /** One request at a time, with the latest. */
    async #report() {
        if (this.#isReporting) return;
        this.#isReporting = true;
        while (!this.#isOver && Object.keys(this.#unreported).length) {
            await this.#insist(() => this.#tell()).catch((error) => this.problem(error));
        }
        this.#isReporting = false;
    }

    async #tell() {
        const body = this.#unreported;
        this.#unreported = {};
        try {
            return await this.comblang.request("PATCH", `/v1/calls/${this.id}/participants/me`, { body });
        } catch (error) {
            // What changed since is newer.
            if (Problem.from(error).isTransient) this.#unreported = { ...body, ...this.#unreported };
            throw error;
        }
    }

    /**
     * Asks until there is an answer, or the call is over. What fails in passing is told once, and tried again after a
     * while, at once when the wire is back.
     *
     * @param {() => Promise<Answer>} ask
     * @returns {Promise<Answer | null>} null if the call is over
     */
    async #insist(ask) {
        for (let failures = 0; !this.#isOver; failures += 1) {
            try {
                return await ask();
            } catch (error) {
                const problem = Problem.from(error);
                if (!problem.isTransient) throw problem;
                if (failures === 0) this.problem(problem);
                await sleep(Math.max(problem.retryAfterMs ?? 0, backoff(failures)), this.#again.signal);
            }
        }
        return null;
    }

    async #reportQuality() {
        for (const link of this.#links.values()) {
            const measured = await link.quality();
            if (!measured || !this.#measuresQuality || this.#isOver) continue;
            try {
                await this.comblang.request("POST", `/v1/calls/${this.id}/quality`, { body: measured, patienceMs: 0 });
            } catch (error) {
                // An older server has no such route; that a report is lost is no matter.
                if ([404, 405].includes(Problem.from(error).status)) this.#measuresQuality = false;
            }
        }
    }

    /**
     * Lets go of everything.
     *
     * @param {string} reason
     */
    #finish(reason) {
        if (this.#isOver) return;
        this.#isOver = true;
        this.#again.abort();
        globalThis.removeEventListener("pagehide", this.#onPageHide);
        globalThis.removeEventListener("online", this.#onNetwork);
        /** @type {any} */ (navigator).connection?.removeEventListener?.("change", this.#onConnection);
        clearInterval(this.#qualityTimer);
        clearTimeout(this.#settling);
        for (const link of this.#links.values()) link.close();
        this.#links.clear();
        this.#screenTrack?.stop();
        if (!this.options.stream) for (const track of this.localStream.getTracks()) track.stop();
        this.events.close();
        this.emit("ended", { reason, record: this.record });
    }
}

/** @param {boolean} audio @param {boolean} video @returns {Promise<MediaStream>} empty if neither is wanted */
async function openMedia(audio, video) {
    if (!audio && !video) return new MediaStream();
    try {
        return await navigator.mediaDevices.getUserMedia({ audio, video });
    } catch (error) {
        throw new Problem("media", error instanceof Error ? error.message : String(error), { cause: error });
    }
}

// MARK: One peer

/**
 * The connection to one leg of one other participant: perfect negotiation, with the server as its judge.
 *
 * The server keeps one pending offer for each pair. The smaller user id is polite: its offer against a pending one is
 * refused (`glare`), and an offer of the impolite side takes the place of its pending one (`superseded`). Either way it
 * rolls back and answers; the impolite side passes over the offer that its own took the place of. Steps run one after
 * another, so that what the server said about one is known before the next.
 */
class PeerLink {
    /** @type {Promise<void>} */
    #last = Promise.resolve();
    #waiting = 0;
    #isClosed = false;
    /**
     * Our offer that is not answered yet.
     *
     * @type {string | null}
     */
    #pendingOffer = null;
    /** The side that waits for the first offer makes none. */
    #mayOffer = false;
    /** Our offer gave way to theirs, which is on its way. */
    #isYielding = false;
    /** While the server is asked to take our offer: candidates wait for what it says. */
    #offering = Promise.resolve();
    #isAccepted = false;
    #hasIgnored = false;
    #offerAttempts = 0;
    #restarts = 0;
    /**
     * Candidates that were not sent yet.
     *
     * @type {RTCIceCandidateInit[]}
     */
    #candidates = [];
    #candidatesEnd = false;
    #isTrickling = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;
    /** @type {Record<string, number>} */
    #counts = {};
    #stream = new MediaStream();

    /** @param {Call} call @param {string} user @param {string} leg */
    constructor(call, user, leg) {
        this.call = call;
        this.user = user;
        this.leg = leg;
        this.isPolite = call.me < user;
        const pc = new RTCPeerConnection(call.configuration);
        this.pc = pc;
        pc.onnegotiationneeded = () => { if (this.#mayOffer) this.#run(() => this.#offer()); };
        pc.onicecandidate = (event) => this.#found(event.candidate);
        pc.onconnectionstatechange = () => this.#changed();
        pc.ontrack = (event) => {
            this.#stream.addTrack(event.track);
            event.track.addEventListener("ended", () => this.#stream.removeTrack(event.track));
            call.peerStream(user, this.#stream);
        };
    }

    close() {
        this.#isClosed = true;
        clearTimeout(this.#timer);
        this.pc.onconnectionstatechange = null;
        this.pc.close();
    }

    /**
     * Does one thing after the other. What fails is told, and the next goes on.
     *
     * @param {() => Promise<void>} step
     */
    #run(step) {
        if (this.#isClosed) return;
        if (this.#waiting >= OPERATIONS_MAX) return this.call.overflowed(this);
        this.#waiting += 1;
        this.#last = this.#last.then(async () => {
            try {
                if (!this.#isClosed) await step();
            } catch (error) {
                if (!this.#isClosed) this.call.problem(error);
            } finally {
                this.#waiting -= 1;
            }
        });
    }

    /**
     * Sends a track in place of the one of its kind.
     *
     * @param {MediaStreamTrack | null} track
     * @param {string} [kind]
     */
    async send(track, kind = track?.kind) {
        const transceivers = this.pc.getTransceivers();
        // By its direction: one that has nothing to send for the moment still has its place in the description.
        const sender = transceivers.find(
            (one) => one.receiver.track.kind === kind && ["sendrecv", "sendonly"].includes(one.direction))?.sender;
        if (sender) await sender.replaceTrack(track);
        else if (track) this.pc.addTrack(track, this.call.localStream);
    }

    /** We joined: we offer, even if we have nothing to send. */
    invite() {
        this.#mayOffer = true;
        this.#isAccepted = true;
        const kinds = this.pc.getTransceivers().map((transceiver) => transceiver.receiver.track.kind);
        for (const kind of /** @type {const} */ (["audio", "video"])) {
            if (this.call.record.media[kind] && !kinds.includes(kind)) {
                this.pc.addTransceiver(kind, { direction: "recvonly" });
            }
        }
        // In vain when `negotiationneeded` was quicker: there is nothing to offer then.
        if (!this.pc.getTransceivers().length) this.pc.createDataChannel("comblang");
    }

    // MARK: Offers and answers

    async #offer() {
        // When it is stable again, `negotiationneeded` comes again if it is.
        if (this.pc.signalingState !== "stable" || this.#isYielding) return;
        this.#offering = this.#makeOffer();
        await this.#offering;
    }

    async #makeOffer() {
        await this.pc.setLocalDescription();
        const sdp = this.pc.localDescription?.sdp;
        try {
            const receipt = await this.call.signal({ to: this.user, type: "offer", sdp });
            this.#pendingOffer = receipt.body.id;
        } catch (error) {
            const problem = Problem.from(error);
            // Theirs was first; it is in the stream.
            if (problem.slug !== "glare") this.call.problem(problem);
            await this.#withdraw(problem.slug === "glare");
        }
    }

    /**
     * Our offer does not count: as if it had not been made.
     *
     * @param {boolean} willOffer whether theirs comes instead
     */
    async #withdraw(willOffer) {
        this.#pendingOffer = null;
        if (this.pc.signalingState !== "have-local-offer") return;
        // They belong to it, and the server would hold them for an offer that never comes.
        this.#candidates = [];
        this.#candidatesEnd = false;
        this.#offerAttempts += 1;
        // Rolling back makes `negotiationneeded` come again: not at once if theirs comes, and not forever.
        if (willOffer) this.#yield();
        else if (this.#offerAttempts >= OFFER_ATTEMPTS_MAX) this.#mayOffer = false;
        await this.pc.setLocalDescription({ type: "rollback" });
    }

    /** Lets their offer come first; if it does not, they are gone or have thought better of it. */
    #yield() {
        this.#isYielding = true;
        setTimeout(() => {
            if (!this.#isYielding) return;
            this.#isYielding = false;
            this.#run(() => this.#offer());
        }, YIELD_MS);
    }

    /** @param {Signal} signal of this leg */
    take(signal) {
        this.#run(async () => {
            switch (signal.type) {
                case "offer": return this.#takeOffer(signal);
                case "answer": return this.#takeAnswer(signal);
                case "candidates": return this.#takeCandidates(signal);
                case "reject":
                case "superseded":
                    if (signal.offer === this.#pendingOffer) await this.#withdraw(signal.type === "superseded");
                    return;
                case "renegotiate": return this.#offer();
                case "restart-ice": return this.restart();
            }
        });
    }

    /** @param {Signal} signal */
    async #takeOffer(signal) {
        const { pc } = this;
        this.#isYielding = false;
        if (pc.signalingState === "have-local-offer") {
            if (!this.isPolite) {
                // Ours took its place at the server, and they roll back.
                this.#hasIgnored = true;
                return;
            }
            await this.#withdraw(true);
            this.#isYielding = false;
        }
        const isAccepted = this.#isAccepted || (await this.#ask());
        // Gone while the user was asked: nobody is there to be answered.
        if (this.#isClosed) return;
        if (!isAccepted) {
            await this.call.signal({ to: this.user, type: "reject", offer: signal.id });
            return;
        }
        await pc.setRemoteDescription({ type: "offer", sdp: signal.sdp });
        const answer = await pc.createAnswer();
        try {
            // Before we live by it: an offer that was replaced meanwhile must leave no trace.
            await this.call.signal({ to: this.user, type: "answer", offer: signal.id, sdp: answer.sdp });
        } catch (error) {
            await pc.setRemoteDescription({ type: "rollback", sdp: "" });
            if (Problem.from(error).slug !== "stale-offer") throw error;
            return;
        }
        // What the offer had no place for is offered next.
        this.#mayOffer = true;
        await pc.setLocalDescription(answer);
    }

    /** @returns {Promise<boolean>} */
    async #ask() {
        const { accept } = this.call.options;
        const participant = this.call.participant(this.user);
        if (accept && participant && !(await accept(participant))) return false;
        this.#isAccepted = true;
        return true;
    }

    /** @param {Signal} signal */
    async #takeAnswer(signal) {
        if (signal.offer !== this.#pendingOffer) return;
        this.#pendingOffer = null;
        this.#offerAttempts = 0;
        await this.pc.setRemoteDescription({ type: "answer", sdp: signal.sdp });
    }

    /** @param {Signal} signal */
    async #takeCandidates(signal) {
        for (const candidate of signal.candidates ?? []) {
            try {
                await this.pc.addIceCandidate(candidate);
            } catch (error) {
                // Those of an offer that we passed over belong to nothing.
                if (!this.#hasIgnored) throw new Problem("media", String(error), { cause: error });
            }
        }
    }

    /** @param {string} id a signal of ours that nobody read */
    signalExpired(id) {
        this.#run(async () => {
            if (id === this.#pendingOffer) await this.#withdraw(false);
        });
    }

    // MARK: Candidates

    /** @param {RTCIceCandidate | null} candidate */
    #found(candidate) {
        if (!candidate) this.#candidatesEnd = true;
        else if (this.#candidates.length >= CANDIDATES_MAX) this.call.problem(new Problem("candidate-queue-full", "dropped"));
        else if (candidate.candidate) this.#candidates.push(candidate.toJSON());
        if (!this.#isTrickling) this.#trickle();
    }

    /** In batches, one after the other. Not in the row of steps: an answer must not wait for candidates. */
    async #trickle() {
        this.#isTrickling = true;
        for (let refusals = 0; (this.#candidates.length || this.#candidatesEnd) && !this.#isClosed;) {
            await sleep(TRICKLE_MS);
            await this.#offering.catch(() => {});
            const candidates = this.#candidates.splice(0, CANDIDATES_PER_BATCH);
            const end = this.#candidatesEnd && this.#candidates.length === 0;
            if (end) this.#candidatesEnd = false;
            // Meanwhile it was closed, or they were those of a description that is none any more.
            if (this.#isClosed || (!candidates.length && !end)) continue;
            try {
                await this.call.signal({ to: this.user, type: "candidates", candidates, end: end || undefined });
            } catch (error) {
                const problem = Problem.from(error);
                if (this.#isClosed || problem.slug === "stale-offer") continue;
                // They wait at the server for an answer, and 50 is what it holds.
                refusals += 1;
                if (problem.slug === "candidate-queue-full" && refusals <= OFFER_ATTEMPTS_MAX) {
                    this.#candidates.unshift(...candidates);
                    this.#candidatesEnd ||= end;
                    await sleep(backoff(refusals));
                } else {
                    this.call.problem(problem);
                }
            }
        }
        this.#isTrickling = false;
    }

    // MARK: The way to the peer

    #changed() {
        const state = this.pc.connectionState;
        clearTimeout(this.#timer);
        if (state === "connected") this.#restarts = 0;
        if (state === "failed") this.#restartAfter(this.#restarts ? backoff(this.#restarts) : 0);
        if (state === "disconnected") this.#restartAfter(DISCONNECTED_MS);
        this.call.peerState(this.user, state);
    }

    /** @param {number} ms */
    #restartAfter(ms) {
        if (this.#restarts >= RESTARTS_MAX) return;
        // Of two that see the same failure at once the polite one lets the other try first.
        this.#timer = setTimeout(() => {
            this.#restarts += 1;
            this.restart();
        }, ms + (this.isPolite ? 500 : 0));
    }

    /** Gathers anew and offers that; the media goes on meanwhile, if it goes. */
    restart() {
        if (this.#isClosed || !this.pc.remoteDescription) return;
        this.#mayOffer = true;
        this.pc.restartIce();
        clearTimeout(this.#timer);
        // Failed still, and no event will say so again.
        const again = () => { if (this.pc.connectionState === "failed") this.#restartAfter(0); };
        this.#timer = setTimeout(again, backoff(this.#restarts) + DISCONNECTED_MS);
    }

    /** Signals pass again: what failed for want of them is tried now. */
    signalingCameBack() {
        if (["failed", "disconnected"].includes(this.pc.connectionState)) this.restart();
    }

    /**
     * New credentials of a relay.
     *
     * @param {RTCConfiguration} configuration
     */
    async configure(configuration) {
        this.pc.setConfiguration({ ...this.pc.getConfiguration(), ...configuration });
        // An allocation lives by the credentials it was made with.
        if ((await this.#pair())?.local.candidateType === "relay") this.restart();
    }

    // MARK: Figures

    /**
     * The pair in use.
     *
     * @returns {Promise<{ pair: any, local: any, remote: any, stats: any[] } | null>}
     */
    async #pair() {
        /** @type {any[]} */
        const stats = [];
        (await this.pc.getStats()).forEach((/** @type {any} */ one) => stats.push(one));
        const find = (/** @type {string} */ id) => stats.find((one) => one.id === id);
        const transport = stats.find((one) => one.type === "transport" && one.selectedCandidatePairId);
        const pair = transport ? find(transport.selectedCandidatePairId)
            : stats.find((one) => one.type === "candidate-pair" && one.nominated && one.state === "succeeded");
        const [local, remote] = pair ? [find(pair.localCandidateId), find(pair.remoteCandidateId)] : [];
        return local && remote ? { pair, local, remote, stats } : null;
    }

    /**
     * The growth of a count since the last time.
     *
     * @param {string} name
     * @param {number} value
     */
    #grown(name, value) {
        const before = this.#counts[name] ?? 0;
        this.#counts[name] = value;
        return Math.max(0, value - before);
    }

    /** A report for the record; null while there is no connection. */
    async quality() {
        const found = this.#isClosed ? null : await this.#pair();
        if (!found) return null;
        const { pair, local, remote, stats } = found;
        const inbound = stats.filter((one) => one.type === "inbound-rtp");
        const sum = (/** @type {string} */ name) => inbound.reduce((total, one) => total + (one[name] ?? 0), 0);
        const lost = this.#grown("lost", sum("packetsLost"));
        const received = this.#grown("received", sum("packetsReceived"));
        const now = pair.timestamp;
        const seconds = this.#grown("time", now) / 1000;
        const kbps = (/** @type {string} */ name) => (this.#grown(name, pair[name] ?? 0) * 8) / 1000 / seconds;
        const isFirst = seconds > 1e6;
        const [sendKbps, receiveKbps] = [kbps("bytesSent"), kbps("bytesReceived")];
        const jitters = inbound.map((one) => one.jitter).filter((jitter) => jitter !== undefined);
        return {
            peer: this.user,
            rttMs: pair.currentRoundTripTime === undefined ? undefined : pair.currentRoundTripTime * 1000,
            packetLoss: lost + received > 0 ? lost / (lost + received) : undefined,
            jitterMs: jitters.length ? Math.max(...jitters) * 1000 : undefined,
            sendKbps: isFirst ? undefined : sendKbps,
            receiveKbps: isFirst ? undefined : receiveKbps,
            framesPerSecond: inbound.find((one) => one.kind === "video")?.framesPerSecond,
            localCandidateType: local.candidateType,
            remoteCandidateType: remote.candidateType,
            protocol: local.protocol,
            relayProtocol: local.relayProtocol,
        };
    }
}
