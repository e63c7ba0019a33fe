// What tests of the module in Node put in the place of a browser and a server.

/** A browser's storage as far as the module needs one. */
export class FakeStorage {
    items = new Map();
    isFull = false;
    getItem(key) { return this.items.get(key) ?? null; }
    removeItem(key) { this.items.delete(key); }
    setItem(key, value) {
        if (this.isFull) throw new Error("QuotaExceededError");
        this.items.set(key, value);
    }
}

export const json = (body, status = 200, headers = {}) => new Response(JSON.stringify(body), { status, headers });

/** @param {number} status @param {string} slug @param {Record<string, string>} [headers] @param {Record<string, any>} [more] */
export const refused = (status, slug, headers = {}, more = {}) =>
    new Response(JSON.stringify({ type: `/problems/${slug}`, title: slug, status, ...more }), {
        status, headers: { "Content-Type": "application/problem+json", ...headers } });

/**
 * @typedef {{ method: string, path: string, query: URLSearchParams, body: any, token: string | undefined,
 *     signal: AbortSignal }} Ask
 * @param {(ask: Ask) => any} answer
 */
export function serve(t, answer) {
    t.mock.method(globalThis, "fetch", async (address, { method = "GET", body, headers = {}, signal }) => {
        const { pathname, searchParams } = new URL(address);
        return answer({
            method, path: pathname, query: searchParams, body: body && JSON.parse(body), signal,
            token: headers.Authorization?.replace("Bearer ", "") });
    });
}

/** Waits for what comes by itself. */
export async function until(condition) {
    for (let waits = 0; !condition(); waits += 1) {
        if (waits === 10_000) throw new Error(`never: ${condition}`);
        await new Promise((resolve) => { setTimeout(resolve, 1); });
    }
}
