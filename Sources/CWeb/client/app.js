// The page at `/`: rooms, chat and video calls, all by the module that everybody gets. The texts are the application's.

import { Comblang, Problem, backoff } from "/client/comblang.js";
import { $, bound, explain, make, named } from "/client/parts.js";
import { ask, isAsked, withdraw } from "/client/questions.js";

const comblang = new Comblang();
const HISTORY = 100;
/** Messages on the page; older ones are a request away. */
const SHOWN_MAX = 500;
const TYPING_EVERY_MS = 3000;

let stream = null;
/** All rooms by id. @type {Map<string, any>} */
let rooms = new Map();
let room = null;
/** Members of the room by user id. @type {Map<string, any>} */
const members = new Map();
/** Calls that are over, so that their invitations say so. */
const endedCalls = new Set();
let call = null;
let isCalling = false;
/** Whether it was hung up before it was there. */
let isCancelled = false;

// MARK: The log's lines, and buttons

/** A line in the log that nobody wrote. */
function say(...text) {
    append(make("p", { className: "system" }, ...text));
}

/** A line that says what failed. */
function complain(error) {
    append(make("p", { className: "system bad" }, explain(error)));
}

let isAtEnd = true;
function append(element) {
    const log = $("log");
    log.append(element);
    while (log.childElementCount > SHOWN_MAX) log.firstElementChild.remove();
    if (isAtEnd) log.scrollTop = log.scrollHeight;
}

$("log").addEventListener("scroll", () => {
    const log = $("log");
    isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
});
// A call that begins takes its room from the log.
new ResizeObserver(() => { if (isAtEnd) $("log").scrollTop = $("log").scrollHeight; }).observe($("log"));

/** Runs what a button does, once at a time, and says what fails. */
function doing(element, action) {
    return async (event) => {
        event?.preventDefault();
        if (element.disabled) return;
        element.disabled = true;
        try {
            await action();
        } catch (error) {
            complain(error);
        } finally {
            element.disabled = false;
        }
    };
}

/** Does what must not be left undone: what fails in passing is done again, at once when the network comes back. */
async function insist(action) {
    for (let attempt = 0; ; attempt += 1) {
        try {
            return await action();
        } catch (error) {
            if (!(error instanceof Problem) || !error.isTransient || !comblang.isSignedIn) throw error;
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, Math.max(error.retryAfterMs ?? 0, backoff(attempt)));
                addEventListener("online", () => { clearTimeout(timer); resolve(); }, { once: true });
            });
        }
    }
}

// MARK: Signing in

let isSigningIn = false;

async function signInWith(action) {
    // Enter pressed twice would make two guests.
    if (isSigningIn) return;
    isSigningIn = true;
    $("sign-in-error").textContent = "";
    try {
        await action();
        await enter();
    } catch (error) {
        $("sign-in-error").textContent = explain(error);
        if (Problem.from(error).slug !== "invite-required") return;
        const tried = $("invite").value.trim();
        if (tried) $("sign-in-error").textContent = "Kode undangan itu tidak berlaku. Periksa lagi atau minta yang baru.";
        showInvite(tried);
        $("invite").select();
    } finally {
        isSigningIn = false;
    }
}

/** Where signing up takes an invite: a link brings it (`/?invite=…`), or it is typed. */
function showInvite(code) {
    $("invite-label").hidden = $("invite").hidden = false;
    $("invite").value = code;
}

bound($("name"), 64, "Nama");
bound($("room-title"), 200, "Judul");
bound($("text"), 32_000, "Pesan");

const invited = new URLSearchParams(location.search).get("invite");
if (invited) showInvite(invited);

$("guest-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const displayName = $("name").value.trim();
    if (!displayName) {
        $("sign-in-error").textContent = "Tulis namamu dulu.";
        return;
    }
    const plain = displayName.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 20);
    const suffix = Math.random().toString(36).slice(2, 8);
    const invite = $("invite").value.trim() || undefined;
    signInWith(() => comblang.signUp({ username: `${plain || "tamu"}-${suffix}`, displayName, invite }));
});

$("account-form").addEventListener("submit", (event) => {
    event.preventDefault();
    signInWith(() => comblang.signIn({ username: $("username").value.trim(), password: $("password").value }));
});

$("sign-out").addEventListener("click", async () => {
    await call?.leave().catch(() => {});
    try {
        await comblang.signOut();
    } catch {
        // Forgotten here; the server ends it by itself.
    }
});

/** Whose page this is. */
let shownUser = null;
// Also when another tab signs in or out, as somebody else perhaps.
comblang.on("session", (session) => {
    if (shownUser && session?.user.id !== shownUser) leavePage();
    if (session && !shownUser && !isSigningIn) resume();
});

/** Enters with the session that there is. */
async function resume() {
    $("sign-in").hidden = true;
    showState("connecting");
    try {
        await insist(() => enter().catch((error) => {
            showState("waiting");
            throw error;
        }));
    } catch (error) {
        leavePage();
        $("sign-in-error").textContent = Problem.from(error).slug === "signed-out" ? "" : explain(error);
    }
}

function leavePage() {
    shownUser = null;
    stream?.close();
    stream = null;
    room = null;
    rooms = new Map();
    withdraw(() => true);
    call?.leave().catch(() => {});
    for (const id of ["app", "again", "me", "wire", "sign-out"]) $(id).hidden = true;
    $("sign-in").hidden = false;
    $("name").focus();
}

async function enter() {
    const { user } = comblang;
    const cursor = await loadRooms();
    // Meanwhile it was entered, or the user is another one, who is entered by the session's event.
    if (stream || comblang.user?.id !== user.id) return;
    shownUser = user.id;
    $("sign-in").hidden = true;
    for (const id of ["app", "me", "sign-out"]) $(id).hidden = false;
    $("me").replaceChildren(named(user.displayName));
    stream = comblang.events({ after: cursor, share: true });
    stream.on("event", take);
    stream.on("ephemeral", takeTyping);
    stream.on("wire", showWire);
    stream.on("state", showState);
    stream.on("gap", () => {
        insist(async () => {
            await loadRooms();
            if (room) await openRoom(room.id);
            await takeRings();
        }).catch(complain);
    });
    stream.on("error", (problem) => {
        if (problem.slug === "signed-out") leavePage();
        else complain(problem);
    });
    const wanted = decodeURIComponent(location.hash.slice(1));
    const first = [...rooms.values()].find((one) => one.name === wanted || one.id === wanted)
        ?? [...rooms.values()].find((one) => one.name === "lobby") ?? [...rooms.values()][0];
    if (first) await openRoom(first.id).catch(complain);
    await comeBack().catch(complain);
}

const wireNames = { websocket: "WebSocket", sse: "SSE", poll: "long-poll" };

/** What the badge last said of a wire. @type {any} */
let lastWire = null;

function showWire(change) {
    lastWire = change;
    const { wire, because, shared } = change;
    const badge = $("wire");
    badge.hidden = false;
    badge.className = "wire";
    badge.textContent = `${wireNames[wire]}${shared ? " (tab lain)" : ""}`;
    const reasons = { mute: "diam", refused: "ditolak", lost: "terputus" };
    badge.title = because.map((one) => `${wireNames[one.wire]} ${reasons[one.why] ?? one.why}`).join(", ");
}

function showState(state) {
    if (state === "open" || state === "closed") return;
    $("wire").hidden = false;
    $("wire").className = "wire waiting";
    const texts = { offline: "luring", waiting: "terputus, mencoba lagi…" };
    $("wire").textContent = texts[state] ?? "menghubungkan…";
}

// A wire may take long to notice that the network is gone.
addEventListener("offline", () => { if (stream) showState("offline"); });
addEventListener("online", () => { if (stream && lastWire) showWire(lastWire); });

// MARK: Rooms

/** @returns {Promise<string | null>} the cursor of the first page */
async function loadRooms() {
    // The former ones can be opened until all of these are here.
    const loaded = new Map();
    let cursor = null;
    let after;
    do {
        const page = await comblang.request("GET", "/v1/rooms", { query: { limit: 200, after } });
        cursor ??= page.cursor;
        for (const one of page.body.items) loaded.set(one.id, one);
        after = page.body.next;
    } while (after && loaded.size < 1000);
    rooms = loaded;
    showRooms();
    return cursor;
}

function showRooms() {
    const list = [...rooms.values()].filter((one) => !one.archived)
        .sort((a, b) => Number(b.role !== null) - Number(a.role !== null) || a.title.localeCompare(b.title, "id"));
    $("rooms").replaceChildren(...list.map((one) => {
        const button = make("button", { type: "button" }, make("span", { className: "title" }, named(one.title)));
        button.setAttribute("aria-current", String(one.id === room?.id));
        if (one.unreadCount) {
            const badge = make("span", { className: "badge", textContent: String(one.unreadCount) });
            badge.setAttribute("aria-label", `${one.unreadCount} belum dibaca`);
            button.append(badge);
        }
        button.addEventListener("click", () => openRoom(one.id).catch((error) => complain(error)));
        return make("li", {}, button);
    }));
}

$("room-form").addEventListener("submit", doing($("room-form").querySelector("button"), async () => {
    const title = $("room-title").value.trim();
    if (!title) return say("Tulis judul ruang dulu.");
    const { body } = await comblang.request("POST", "/v1/rooms", { body: { title, visibility: "public" } });
    $("room-title").value = "";
    rooms.set(body.id, body);
    await openRoom(body.id);
}));

async function openRoom(id) {
    const opened = rooms.get(id);
    if (!opened) return;
    // Shown at once, so that what is written goes where it seems to go.
    room = opened;
    history.replaceState(null, "", `#${encodeURIComponent(opened.name ?? opened.id)}`);
    opened.unreadCount = 0;
    $("title").replaceChildren(named(opened.title));
    $("log").replaceChildren();
    showRooms();
    if (!opened.role) {
        await comblang.request("PUT", `/v1/rooms/${id}/members/me`, { body: {} });
        opened.role = "member";
    }
    if (room !== opened) return;
    const [messages, calls] = await Promise.all([
        comblang.request("GET", `/v1/rooms/${id}/messages`, { query: { limit: HISTORY } }),
        comblang.request("GET", `/v1/rooms/${id}/calls`, { query: { limit: HISTORY } }), loadMembers(id),
    ]);
    if (room !== opened) return;
    for (const one of calls.body.items) if (one.state === "ended") endedCalls.add(one.id);
    const cameMeanwhile = [...$("log").children];
    $("log").replaceChildren();
    for (const message of messages.body.items.reverse()) showMessage(message);
    for (const element of cameMeanwhile) if (!element.id || !document.getElementById(element.id)) append(element);
    $("log").scrollTop = $("log").scrollHeight;
    markRead(messages.body.items.at(-1));
    showMembers();
}

async function loadMembers(id) {
    const { body } = await comblang.request("GET", `/v1/rooms/${id}/members`, { query: { limit: 200 } });
    if (room?.id !== id) return;
    members.clear();
    for (const member of body.items) members.set(member.user, member);
}

function showMembers() {
    // Of oneself one knows better than the last that was told.
    if (members.has(comblang.user.id)) members.get(comblang.user.id).online = true;
    const list = [...members.values()].sort((a, b) => Number(b.online) - Number(a.online) || a.displayName.localeCompare(b.displayName, "id"));
    const onlineCount = list.filter((one) => one.online).length;
    $("members-summary").textContent = `${list.length} anggota, ${onlineCount} daring`;
    $("members").replaceChildren(...list.map((one) => {
        const item = make("li", { className: one.online ? "online" : "" }, named(one.displayName));
        if (one.user === comblang.user.id) item.append(" (kamu)");
        else {
            const button = make("button", { type: "button", textContent: "Panggil" });
            button.setAttribute("aria-label", `Panggil ${one.displayName}`);
            button.addEventListener("click", doing(button, () => callMember(one.user)));
            item.append(button);
        }
        return item;
    }));
}

function markRead(message) {
    if (!message || document.visibilityState !== "visible") return;
    comblang.request("PUT", `/v1/rooms/${message.room}/read`, { body: { message: message.id } }).catch(() => {});
}

// MARK: Chat

function showMessage(message) {
    const old = document.getElementById(message.id);
    const isMine = message.user === comblang.user.id;
    const element = make("article", { id: message.id, className: isMine ? "message mine" : "message" });
    const dot = make("i");
    dot.style.background = message.color;
    const at = new Date(message.createdAt);
    const time = make("time", { dateTime: message.createdAt, textContent: at.toLocaleTimeString("id", { hour: "2-digit", minute: "2-digit" }) });
    element.append(make("div", { className: "who" }, dot, named(message.displayName), time));
    if (message.deletedAt) element.append(make("p", { className: "note", textContent: "Pesan dihapus" }));
    else if (message.metadata?.action === "join_call") element.append(invitation(message, isMine));
    else element.append(make("p", { textContent: message.content, dir: "auto" }));
    if (message.editedAt && !message.deletedAt) element.append(make("p", { className: "note", textContent: "disunting" }));
    if (old) old.replaceWith(element);
    else append(element);
}

/** The second phase of the seed: the bubble that is clicked. */
function invitation(message, isMine) {
    const id = message.metadata.call;
    const box = make("div", {}, make("p", { textContent: isMine ? "Kamu mengajak video call." : "Mengajak video call." }));
    if (!id) return box;
    const button = make("button", { type: "button", className: "main", textContent: message.content.trim() || "📞 Gabung" });
    button.dataset.call = id;
    box.append(button);
    if (endedCalls.has(id)) closeInvitation(button);
    else {
        button.addEventListener("click", doing(button, () => joinCall(id).catch((error) => {
            if (Problem.from(error).slug === "call-ended") noteEnded(id);
            throw error;
        })));
    }
    return box;
}

function closeInvitation(button) {
    button.replaceWith(make("p", { className: "note", textContent: "Panggilan sudah berakhir" }));
}

function noteEnded(id) {
    endedCalls.add(id);
    for (const button of document.querySelectorAll(`button[data-call="${CSS.escape(id)}"]`)) closeInvitation(button);
}

$("composer").addEventListener("submit", async (event) => {
    event.preventDefault();
    const content = $("text").value;
    if (!content.trim() || !room) return;
    const { id } = room;
    $("text").value = "";
    const sending = setTimeout(() => { $("typing").textContent = "Mengirim…"; }, 1000);
    try {
        const { body } = await comblang.request("POST", `/v1/rooms/${id}/messages`, { body: { content } });
        if (room?.id === id) showMessage(body);
    } catch (error) {
        // What was written is not lost.
        if (!$("text").value) $("text").value = content;
        complain(error);
    } finally {
        clearTimeout(sending);
        if ($("typing").textContent === "Mengirim…") $("typing").textContent = "";
    }
});

let typedAt = 0;
$("text").addEventListener("input", () => {
    if (!room || Date.now() - typedAt < TYPING_EVERY_MS) return;
    typedAt = Date.now();
    comblang.request("POST", `/v1/rooms/${room.id}/typing`, { patienceMs: 0 }).catch(() => {});
});

let typingTimer;
function takeTyping({ data }) {
    if (data.room !== room?.id || data.user === comblang.user.id) return;
    $("typing").replaceChildren(named(data.displayName), " sedang mengetik…");
    clearTimeout(typingTimer);
    typingTimer = setTimeout(() => { $("typing").textContent = ""; }, 5000);
}

/** One event of the log. */
function take(event) {
    const { type, data } = event;
    if (type.startsWith("message.")) takeMessage(type, data);
    else if (type.startsWith("room.")) {
        rooms.set(data.id, { ...rooms.get(data.id), ...data });
        if (data.id === room?.id) $("title").replaceChildren(named(data.title));
        showRooms();
    } else if (type.startsWith("member.")) takeMember(type, data);
    else if (type === "presence.changed") {
        const member = members.get(data.user);
        if (member) {
            member.online = data.online;
            showMembers();
        }
    } else if (type === "read.updated" && rooms.has(data.room) && data.room !== room?.id) {
        // Read in another tab: how many are left only the server knows.
        comblang.request("GET", `/v1/rooms/${data.room}`).then(({ body }) => {
            rooms.set(body.id, body);
            showRooms();
        }).catch(() => {});
    } else takeCall(event);
}

function takeMessage(type, message) {
    if (message.room === room?.id) {
        if (type === "message.created" || document.getElementById(message.id)) showMessage(message);
        if (type === "message.created") {
            $("typing").textContent = "";
            markRead(message);
        }
    } else if (type === "message.created" && rooms.has(message.room) && message.user !== comblang.user.id) {
        rooms.get(message.room).unreadCount = (rooms.get(message.room).unreadCount ?? 0) + 1;
        showRooms();
    }
}

function takeMember(type, member) {
    const isMe = member.user === comblang.user.id;
    if (isMe && type !== "member.updated") {
        loadRooms().catch(() => {});
        if (type === "member.left" && member.room === room?.id) say("Kamu bukan anggota ruang ini lagi.");
    }
    if (member.room !== room?.id) return;
    if (type === "member.left") members.delete(member.user);
    else members.set(member.user, member);
    if (!isMe && type === "member.joined") say(named(member.displayName), " bergabung");
    if (!isMe && type === "member.left") say(named(member.displayName), " keluar");
    showMembers();
}

// MARK: Rings

function takeCall({ type, data }) {
    if (type === "call.ringing") ring(data);
    if (type === "call.ended") {
        noteEnded(data.id);
        if (withdraw((one) => one.call === data.id && !one.user)) say("Panggilan tak terjawab");
        if (left?.call === data.id) offerAgain(data);
    }
    const isMine = type === "call.participant" && data.user === comblang.user.id && data.state !== "invited";
    if (isMine) withdraw((one) => one.call === data.call && !one.user);
    if (type === "call.answered-elsewhere" && withdraw((one) => one.call === data.call && !one.user)) {
        say("Dijawab di perangkat lain");
    }
}

/** Calls that rang me: their callers wait for nobody else's word. @type {Set<string>} */
const rings = new Set();

async function ring(record) {
    if (call?.id === record.id || isAsked((one) => one.call === record.id)) return;
    rings.add(record.id);
    const caller = record.participants.find((one) => one.user === record.initiator);
    const text = [named(caller?.displayName ?? "Seseorang"), " memanggilmu."];
    if (call) text.push(" Kalau diterima, panggilanmu sekarang diakhiri.");
    const isAccepted = await ask({ call: record.id, text });
    if (isAccepted) await joinCall(record.id).catch(complain);
    if (isAccepted === false) await comblang.rejectCall(record.id).catch(() => {});
}

/** Rings that came while nobody listened. */
async function takeRings() {
    const { body } = await comblang.request("GET", "/v1/calls", { query: { limit: 20 } });
    const isRung = (one) => one.user === comblang.user.id && one.state === "invited";
    for (const record of body.items) if (record.state !== "ended" && record.participants.some(isRung)) ring(record);
}

// MARK: The call

/** Whom I rang or let in: they are not asked about. @type {Set<string>} */
let welcome = new Set();
/** @type {Set<string>} */
let declined = new Set();
/** What others in the call last were, to tell what is new. @type {Map<string, string>} */
let states = new Map();

/** @param {string[]} [invite] all of the room, if nobody */
async function startCall(invite, id = room.id) {
    if (isCalling || call) return say("Kamu sedang dalam panggilan.");
    await placed(() => comblang.startCall(id, { invite, accept: acceptJoiner }));
}

/** Rings a member: into the call that there is, if it is this room's. */
async function callMember(user) {
    if (call?.record.room !== room.id) return startCall([user]);
    if (call.participant(user)?.state === "joined") return say("Dia sudah ikut panggilan ini.");
    await call.invite([user]);
}

async function joinCall(id) {
    if (call?.id === id) return;
    if (isCalling) return say("Kamu sedang dalam panggilan.");
    await call?.leave();
    await placed(() => comblang.joinCall(id, { accept: acceptJoiner }).catch((error) => {
        // Another tab of this browser has it: here is where the user wants it.
        if (Problem.from(error).slug !== "joined-elsewhere") throw error;
        return comblang.joinCall(id, { accept: acceptJoiner, takeover: true });
    }));
}

/** Phase 3 of the seed: who comes to my open invitation is asked about. Whom I rang by name has accepted already. */
async function acceptJoiner({ user, displayName }) {
    if (call?.record.initiator !== comblang.user.id || welcome.has(user)) return true;
    status(named(displayName), " menunggu jawabanmu.");
    const text = ["Panggilan masuk dari ", named(displayName), "."];
    const isAccepted = await ask({ call: call.id, user, text });
    if (isAccepted) {
        welcome.add(user);
        status("Menghubungkan…");
    } else if (isAccepted === false) {
        declined.add(user);
    }
    return isAccepted === true;
}

/** The stage is there at once: a camera that has to be allowed, or a slow network, takes its time. */
async function placed(place) {
    isCalling = true;
    isCancelled = false;
    $("stage").hidden = false;
    $("call").hidden = true;
    status("Menyiapkan panggilan…");
    try {
        const joined = await place();
        if (isCancelled) await joined.leave();
        else show(joined);
    } finally {
        isCalling = false;
        if (!call) closeStage();
    }
}

function closeStage() {
    $("stage").hidden = true;
    $("call").hidden = false;
    $("local").srcObject = null;
    for (const element of document.querySelectorAll(".tile:not(.mine)")) element.remove();
}

async function hangUp() {
    if (call) return call.leave();
    isCancelled = true;
    closeStage();
}

function status(...text) {
    $("stage-status").replaceChildren(...text);
}

/** What is waited for while nobody else is here. */
function waiting() {
    const others = call.record.participants.filter((one) => one.user !== comblang.user.id);
    if (others.some((one) => one.state === "joined")) return "";
    const rung = others.filter((one) => one.state === "invited");
    if (!rung.length) return "Menunggu orang lain bergabung...";
    return rung.every((one) => one.busy) ? "Sedang dalam panggilan lain. Menunggu jawaban…" : "Memanggil…";
}

function show(joined) {
    call = joined;
    const { record } = joined;
    welcome = new Set(record.participants.filter((one) => one.state === "invited").map((one) => one.user));
    declined = new Set();
    states = new Map(record.participants.map((one) => [one.user, one.state]));
    left = null;
    $("again").hidden = true;
    $("local").srcObject = joined.localStream;
    showControls();
    const host = record.participants.find((one) => one.user === record.initiator && one.user !== comblang.user.id);
    const isHostAsked = host?.state === "joined" && !record.answeredAt && !rings.has(record.id);
    if (waiting()) status(waiting());
    else if (isHostAsked) status("Menunggu ", named(host.displayName), " menerima…");
    else status("Menghubungkan…");
    joined.on("local", (local) => {
        $("local").srcObject = local;
        $("local").classList.toggle("screen", joined.media.screen);
    });
    joined.on("stream", ({ user, stream: theirs }) => { tile(user).querySelector("video").srcObject = theirs; });
    joined.on("participant", (participant) => {
        if (document.getElementById(`tile-${participant.user}`)) showTile(participant);
        takeParticipant(participant);
    });
    joined.on("peer", ({ state }) => {
        if (state === "connected") status("Terhubung dengan teman!");
        if (state === "disconnected") status("Koneksi terputus sementara…");
        if (state === "failed") status("Koneksi gagal. Mencoba lagi…");
    });
    joined.on("left", ({ user }) => {
        document.getElementById(`tile-${user}`)?.remove();
        withdraw((one) => one.user === user);
    });
    let isDelayed = false;
    joined.on("problem", (problem) => {
        if (problem.slug !== "network") return;
        isDelayed = true;
        status("Sinyal tertunda: server tidak terjangkau.");
    });
    joined.on("wire", () => {
        if (!isDelayed) return;
        isDelayed = false;
        const isConnected = Object.values(joined.connections).includes("connected");
        status(isConnected ? "Terhubung dengan teman!" : waiting() || "Menghubungkan…");
    });
    joined.on("ended", ({ reason }) => hide(joined, reason));
}

/** Says who is rung, and who is gone and how. */
function takeParticipant({ user, displayName, state, busy }) {
    const before = states.get(user);
    states.set(user, state);
    if (before === state || user === comblang.user.id || state === "joined") return;
    if (state === "invited") {
        welcome.add(user);
        return busy ? status(named(displayName), " sedang dalam panggilan lain. Menunggu jawaban…")
            : status("Memanggil ", named(displayName), "…");
    }
    const isMine = call.record.initiator === comblang.user.id;
    let what = "keluar";
    if (state === "lost") what = "terputus";
    else if (before === "invited") what = state === "rejected" ? "menolak" : busy ? "sedang sibuk" : "tidak menjawab";
    else if (isMine && !welcome.has(user)) what = "tidak jadi bergabung";
    const told = declined.delete(user) ? ["Kamu menolak ", named(displayName)] : [named(displayName), ` ${what}`];
    status(...told, `. ${waiting()}`);
}

function tile(user) {
    let element = document.getElementById(`tile-${user}`);
    if (!element) {
        const video = make("video", { autoplay: true, playsInline: true });
        element = make("figure", { id: `tile-${user}`, className: "tile" }, video, make("figcaption"));
        $("videos").append(element);
        const participant = call?.participant(user);
        if (participant) showTile(participant);
    }
    return element;
}

function showTile(participant) {
    const element = document.getElementById(`tile-${participant.user}`);
    if (!element) return;
    element.querySelector("figcaption").replaceChildren(named(participant.displayName ?? "Teman"));
    element.classList.toggle("video-off", !participant.media.video && !participant.media.screen);
    element.classList.toggle("audio-off", !participant.media.audio);
    element.querySelector("video").classList.toggle("screen", participant.media.screen);
}

function showControls() {
    const media = call?.media ?? { audio: true, video: true, screen: false };
    for (const kind of ["audio", "video", "screen"]) $(`toggle-${kind}`).setAttribute("aria-pressed", String(media[kind]));
    $("local").parentElement.classList.toggle("video-off", !media.video && !media.screen);
    $("local").parentElement.classList.toggle("audio-off", !media.audio);
    $("local").classList.toggle("screen", media.screen);
}

function hide(ended, reason) {
    if (call !== ended) return;
    call = null;
    withdraw((one) => one.call === ended.id);
    closeStage();
    const texts = {
        completed: "Panggilan selesai.", left: "Panggilan selesai.", missed: "Tidak ada yang menjawab.", rejected: "Panggilan ditolak.",
        busy: "Sedang sibuk.", cancelled: "Panggilan dibatalkan.", failed: "Koneksi gagal. Coba lagi.", lost: "Panggilan terputus.",
        elsewhere: "Panggilan pindah ke perangkat lain.", "too-long": "Panggilan sudah terlalu lama.",
        "ended-by-admin": "Panggilan diakhiri admin.",
    };
    say(texts[reason] ?? `Panggilan berakhir (${reason}).`);
}

$("call").addEventListener("click", doing($("call"), () => startCall()));
$("hang-up").addEventListener("click", doing($("hang-up"), hangUp));
for (const [kind, toggle] of [
    ["audio", () => call.setAudio(!call.media.audio)],
    ["video", () => call.setVideo(!call.media.video)],
    ["screen", () => (call.media.screen ? call.stopScreen() : call.shareScreen())],
]) {
    const button = $(`toggle-${kind}`);
    button.addEventListener("click", doing(button, async () => {
        if (!call) return;
        try {
            await toggle();
        } finally {
            showControls();
        }
    }));
}
// The browser's own "stop sharing" ends it as well.
setInterval(() => { if (call) showControls(); }, 1000);

// MARK: Coming back

/** Under which name the tab keeps the call that it was in when its page went away. */
const LEFT = "comblang:left-call";
/** A tab that is opened again later does not speak of it. */
const LEFT_MAX_MS = 5 * 60_000;
/**
 * The call that the page before this one left.
 *
 * @type {{ call: string, room: string, user: string, others: string[], at: number } | null}
 */
let left = null;

// Whether the page is closed or loaded again nobody can tell here: the call is left either way, and only the tab that
// comes back finds this.
addEventListener("pagehide", () => {
    if (!call) return;
    const user = comblang.user.id;
    const others = call.record.participants.filter((one) => one.user !== user && one.state === "joined");
    left = { call: call.id, room: call.record.room, user, others: others.map((one) => one.user), at: Date.now() };
    comblang.tabStorage.write(LEFT, left);
});

/** The same page, from the browser's memory. */
addEventListener("pageshow", (event) => { if (event.persisted && stream) comeBack().catch(complain); });

async function comeBack() {
    const kept = comblang.tabStorage.read(LEFT);
    comblang.tabStorage.write(LEFT, null);
    left = kept?.user === comblang.user.id && Date.now() - kept.at < LEFT_MAX_MS ? kept : null;
    await takeRings();
    if (!left) return;
    const { body } = await comblang.request("GET", `/v1/calls/${left.call}`);
    if (!call) offerAgain(body);
}

/** Back into the call, or on the phone again with those who were in it. */
function offerAgain(record) {
    const isOver = record.state === "ended";
    if (isOver) noteEnded(record.id);
    $("again-text").textContent = isOver ? "Panggilan berakhir saat halaman dimuat ulang." : "Panggilanmu masih berlangsung.";
    $("again-call").textContent = isOver ? "Panggil lagi" : "Gabung lagi";
    $("again").hidden = false;
}

$("again-call").addEventListener("click", doing($("again-call"), async () => {
    const { call: id, room: where, others } = left;
    if (endedCalls.has(id)) await startCall(others.length ? others : undefined, where);
    else await joinCall(id);
}));
$("again-close").addEventListener("click", () => {
    left = null;
    $("again").hidden = true;
});

document.addEventListener("visibilitychange", () => {
    const last = [...document.querySelectorAll(".message")].at(-1);
    if (room && last && document.visibilityState === "visible") markRead({ id: last.id, room: room.id });
});

// For tests, and for the curious at the console.
window.comblang = comblang;
window.page = { get call() { return call; }, get stream() { return stream; }, get room() { return room; } };

if (comblang.isSignedIn) resume();
else $("sign-in").hidden = false;
