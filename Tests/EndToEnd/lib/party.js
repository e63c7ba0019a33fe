// A participant of a mesh call in a page: the HTTP API by fetch, events by a native EventSource, nothing else.
window.party = {
  peers: new Map(),
  faults: [],
  candidates: [],

  async ask(method, path, body) {
    const headers = { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" };
    const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  },

  async listen(token) {
    this.token = token;
    this.media = await navigator.mediaDevices.getUserMedia({ video: { width: 160, height: 120 } });
    const { ticket } = await this.ask("POST", "/v1/stream-tickets", {});
    const source = new EventSource(`/v1/events/stream?types=signal&ticket=${ticket}`);
    // One after the other: an answer must not overtake the offer that it is for.
    let done = Promise.resolve();
    source.addEventListener("signal", (event) => {
      const signal = JSON.parse(event.data).data;
      done = done.then(() => this.receive(signal)).catch((error) => this.faults.push(String(error)));
    });
    await new Promise((resolve) => source.addEventListener("stream.ready", resolve));
  },

  // Uses the relay alone if `relayed`, else whatever connects; both without asking a server of the internet.
  use(answer, relayed) {
    const given = answer.iceServers;
    this.configuration = relayed ? { ...given, iceTransportPolicy: "relay" } : { iceServers: [] };
  },

  async start(room, relayed) {
    const created = await this.ask("POST", `/v1/rooms/${room}/calls`, { media: { audio: false, video: true } });
    this.use(created, relayed);
    this.call = `/v1/calls/${created.call.id}`;
    return this.call;
  },

  async join(call, relayed) {
    this.call = call;
    const joined = await this.ask("POST", `${call}/join`, {});
    this.use(joined, relayed);
    for (const { user } of joined.peers) {
      const connection = this.connect(user);
      await connection.setLocalDescription(await connection.createOffer());
      await this.signal(user, { type: "offer", sdp: connection.localDescription.sdp });
    }
  },

  signal(to, payload) { return this.ask("POST", `${this.call}/signals`, { to, ...payload }); },

  connect(user) {
    const connection = new RTCPeerConnection(this.configuration);
    const video = Object.assign(document.createElement("video"), { autoplay: true, muted: true, playsInline: true });
    document.body.append(video);
    connection.ontrack = ({ track }) => { video.srcObject = new MediaStream([track]); };
    connection.onicecandidate = ({ candidate }) => {
      if (!candidate || !candidate.candidate) return;
      this.candidates.push(candidate.candidate);
      this.signal(user, { type: "candidates", candidates: [candidate.toJSON()] })
        .catch((error) => this.faults.push(String(error)));
    };
    for (const track of this.media.getTracks()) connection.addTrack(track, this.media);
    this.peers.set(user, { connection, video });
    return connection;
  },

  async receive(signal) {
    if (signal.type === "offer") {
      const connection = this.connect(signal.from);
      await connection.setRemoteDescription({ type: "offer", sdp: signal.sdp });
      await connection.setLocalDescription(await connection.createAnswer());
      await this.signal(signal.from, { type: "answer", offer: signal.id, sdp: connection.localDescription.sdp });
    } else if (signal.type === "answer") {
      await this.peers.get(signal.from).connection.setRemoteDescription({ type: "answer", sdp: signal.sdp });
    } else if (signal.type === "candidates") {
      for (const candidate of signal.candidates)
        await this.peers.get(signal.from).connection.addIceCandidate(candidate);
    }
  },

  // What is known of each connection, as a client would report it.
  async connections() {
    const found = {};
    for (const [user, { connection, video }] of this.peers) {
      const stats = await connection.getStats();
      const all = [...stats.values()];
      const transport = all.find((entry) => entry.type === "transport") || {};
      const pair = stats.get(transport.selectedCandidatePairId) || {};
      const local = stats.get(pair.localCandidateId) || {};
      const remote = stats.get(pair.remoteCandidateId) || {};
      const incoming = all.find((entry) => entry.type === "inbound-rtp" && entry.kind === "video") || {};
      found[user] = {
        state: connection.connectionState, frames: incoming.framesDecoded || 0, width: video.videoWidth,
        rttMs: 1000 * (pair.currentRoundTripTime || 0), jitterMs: 1000 * (incoming.jitter || 0),
        framesPerSecond: incoming.framesPerSecond || 0,
        localCandidateType: local.candidateType, remoteCandidateType: remote.candidateType,
        protocol: local.protocol, relayProtocol: local.relayProtocol,
      };
    }
    return found;
  },

  async report() {
    for (const [peer, { state, frames, width, ...quality }] of Object.entries(await this.connections()))
      await this.ask("POST", `${this.call}/quality`, { peer, ...quality });
  },
};
