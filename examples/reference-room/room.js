#!/usr/bin/env node
// A room actor that does what the seed's chat.ts does, and nothing more: a partner for the bridge, for tests and for
// trying it out. Written from the seed's description; see README.md.
"use strict";

const { appendFileSync, existsSync, readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { randomUUID } = require("node:crypto");
const { parseArgs } = require("node:util");

const { WebSocketServer, WebSocket } = loadWS();

const { values: options } = parseArgs({
    options: {
        host: { type: "string", default: "127.0.0.1" },
        port: { type: "string", default: "0" },
        // What a Durable Object keeps in its storage: one JSON line for each message. Without it, memory only.
        history: { type: "string" },
        // Messages that a newcomer is shown.
        "history-count": { type: "string", default: "100" },
    },
});
const historyCount = Number(options["history-count"]);

/** Debian's node-ws lies where a Node from elsewhere does not look. */
function loadWS() {
    try {
        return require("ws");
    } catch {
        return require("/usr/share/nodejs/ws");
    }
}

/** One actor for each name, as a Durable Object is. */
const rooms = new Map();

function room(name) {
    if (!rooms.has(name)) rooms.set(name, { sessions: new Map(), history: [] });
    return rooms.get(name);
}

if (options.history && existsSync(options.history)) {
    for (const line of readFileSync(options.history, "utf8").split("\n")) {
        // A process that was killed may have left half a line: nobody was told of that message.
        try {
            const { room: name, message } = JSON.parse(line);
            room(name).history.push(message);
        } catch {}
    }
    for (const { history } of rooms.values()) history.splice(0, history.length - historyCount);
}

function who({ userId, username, color }) {
    return { userId, username, color };
}

function broadcast(room, frame, except) {
    const text = JSON.stringify(frame);
    for (const socket of room.sessions.keys()) {
        if (socket !== except && socket.readyState === WebSocket.OPEN) socket.send(text);
    }
}

function keep(name, room, message) {
    // Before anybody hears of it, so that what was said is in the history after a crash.
    if (options.history) appendFileSync(options.history, JSON.stringify({ room: name, message }) + "\n");
    room.history.push(message);
    if (room.history.length > historyCount) room.history.shift();
}

function take(name, room, socket, session, data) {
    switch (data.type) {
        case "message": {
            if (typeof data.content !== "string" || data.content === "") return;
            const message = {
                type: "message", id: randomUUID(), ...who(session), content: data.content,
                metadata: data.metadata ?? null, timestamp: Date.now(),
            };
            keep(name, room, message);
            broadcast(room, message);
            break;
        }
        case "signal": {
            // To the session whose userId is `to`; dropped when there is none.
            if (!data.to) return;
            const target = [...room.sessions].find(([, other]) => other.userId === data.to)?.[0];
            if (target && target.readyState === WebSocket.OPEN) {
                target.send(JSON.stringify({
                    type: "signal", ...who(session), content: data.content, timestamp: Date.now(),
                }));
            }
            break;
        }
        case "typing":
            broadcast(room, { type: "typing", ...who(session), timestamp: Date.now() }, socket);
            break;
        case "ping":
            socket.send(JSON.stringify({ type: "pong" }));
            break;
    }
}

const server = createServer((request, response) => response.writeHead(426).end("a WebSocket room\n"));
const sockets = new WebSocketServer({ server, maxPayload: 256 * 1024 });

sockets.on("connection", (socket, request) => {
    const url = new URL(request.url, "http://room");
    const name = decodeURIComponent(url.pathname.replace(/^\/(ws\/)?/, "")) || "lobby";
    const here = room(name);
    const session = {
        userId: url.searchParams.get("userId") || randomUUID(),
        username: url.searchParams.get("username") || "guest",
        color: url.searchParams.get("color") || "#888888",
    };
    here.sessions.set(socket, session);
    socket.send(JSON.stringify({
        type: "welcome", ...who(session), users: [...here.sessions.values()].map(who), history: here.history,
    }));
    broadcast(here, { type: "join", ...who(session), timestamp: Date.now() }, socket);

    socket.on("message", (bytes) => {
        let data;
        try {
            data = JSON.parse(bytes.toString());
        } catch {
            return;
        }
        if (data && typeof data === "object") take(name, here, socket, session, data);
    });
    socket.on("close", () => {
        here.sessions.delete(socket);
        broadcast(here, { type: "leave", ...who(session), timestamp: Date.now() });
    });
    socket.on("error", () => {});
});

server.listen(Number(options.port), options.host, () => {
    console.log(`listening on ws://${options.host}:${server.address().port}`);
});
