// The seed's own client functions, word for word as its document gives them (shared/seed/video-call-flow.id.md); a
// test compares. What the document leaves to the rest of the application is in page.html.

// Video call state variables
let localStream = null;          // MediaStream dari kamera/mic lokal
let peerConnection = null;       // RTCPeerConnection instance
let remoteUserId = null;         // ID user yang sedang di-call
let iceCandidatesQueue = [];     // Queue untuk ICE candidates
let isAudioEnabled = true;       // Status mic
let isVideoEnabled = true;       // Status kamera

// Incoming call state
let pendingCallData = null;      // Data panggilan masuk
let pendingCallResolve = null;   // Promise resolver untuk modal

const MAX_ICE_QUEUE_SIZE = 50; // Prevent memory leak

const rtcConfig = {
    iceServers: [
        { urls: 'stun:stun.l.google.com:19302' },
        { urls: 'stun:stun1.l.google.com:19302' },
        { urls: 'stun:stun2.l.google.com:19302' },
        { urls: 'stun:stun3.l.google.com:19302' },
        { urls: 'stun:stun4.l.google.com:19302' }
    ],
    iceCandidatePoolSize: 10
};

async function startVideoCall() {
    try {
        // Request akses kamera dan mic
        localStream = await navigator.mediaDevices.getUserMedia({ 
            video: true, 
            audio: true 
        });
        document.getElementById('localVideo').srcObject = localStream;

        // Reset state
        isAudioEnabled = true;
        isVideoEnabled = true;
        resetVideoControls();

        // Tampilkan container video
        document.getElementById('videoCallContainer').classList.add('active');

        // Kirim pesan ajakan ke chat
        ws.send(JSON.stringify({
            type: 'message',
            content: '📞 [KLIK DI SINI] ',
            metadata: { action: 'join_call' }
        }));

        renderSystemMessage('Menunggu orang lain bergabung...');
    } catch (e) {
        alert('Gagal akses kamera/mic!');
    }
}

async function joinVideoCall(targetUserId, username) {
    remoteUserId = targetUserId;
    
    // Request media jika belum ada
    if (!localStream) {
        localStream = await navigator.mediaDevices.getUserMedia({ 
            video: true, audio: true 
        });
        document.getElementById('localVideo').srcObject = localStream;
    }

    // Setup UI
    document.getElementById('videoCallContainer').classList.add('active');
    document.getElementById('remoteLabel').textContent = username;
    
    // Buat peer connection
    createPeerConnection(targetUserId);

    // Buat dan kirim offer
    const offer = await peerConnection.createOffer();
    await peerConnection.setLocalDescription(offer);
    sendSignal(targetUserId, { type: 'offer', sdp: offer.sdp });
}

function sendSignal(to, content) {
    if (!ws || ws.readyState !== WebSocket.OPEN) return;
    
    ws.send(JSON.stringify({
        type: 'signal',
        to: to,
        content: JSON.stringify(content)
    }));
}

async function handleVideoSignal(data) {
    const signal = JSON.parse(data.content);
    const from = data.userId;

    if (signal.type === 'offer') {
        // Tampilkan modal incoming call
        const accepted = await showIncomingCallModal(data.username);

        if (accepted) {
            // Request media
            if (!localStream) {
                localStream = await navigator.mediaDevices.getUserMedia({ 
                    video: true, audio: true 
                });
                document.getElementById('localVideo').srcObject = localStream;
            }

            // Setup peer connection
            createPeerConnection(from);
            await peerConnection.setRemoteDescription(
                new RTCSessionDescription(signal)
            );

            // Process queued ICE candidates
            while (iceCandidatesQueue.length > 0) {
                const cand = iceCandidatesQueue.shift();
                await peerConnection.addIceCandidate(new RTCIceCandidate(cand));
            }

            // Buat dan kirim answer
            const answer = await peerConnection.createAnswer();
            await peerConnection.setLocalDescription(answer);
            sendSignal(from, { type: 'answer', sdp: answer.sdp });
        } else {
            // User menolak
            sendSignal(from, { type: 'reject' });
        }
    }
}

function createPeerConnection(targetUserId) {
    remoteUserId = targetUserId;

    peerConnection = new RTCPeerConnection(rtcConfig);

    // Add local tracks
    localStream.getTracks().forEach(track => {
        peerConnection.addTrack(track, localStream);
    });

    // Handle remote stream
    peerConnection.ontrack = (event) => {
        const remoteVid = document.getElementById('remoteVideo');
        remoteVid.srcObject = event.streams[0];
    };

    // Handle ICE candidates
    peerConnection.onicecandidate = (event) => {
        if (event.candidate) {
            sendSignal(targetUserId, { 
                type: 'candidate', 
                candidate: event.candidate 
            });
        }
    };

    // Monitor connection state
    peerConnection.oniceconnectionstatechange = () => {
        if (peerConnection.iceConnectionState === 'connected') {
            renderSystemMessage('Terhubung dengan teman!');
        } else if (peerConnection.iceConnectionState === 'failed') {
            renderSystemMessage('Koneksi gagal. Coba lagi.');
        }
    };
}

function toggleAudio() {
    if (!localStream) return;

    const audioTrack = localStream.getAudioTracks()[0];
    if (audioTrack) {
        isAudioEnabled = !isAudioEnabled;
        audioTrack.enabled = isAudioEnabled;
        
        // Update UI button
        const btn = document.getElementById('toggleAudioBtn');
        btn.classList.toggle('muted', !isAudioEnabled);
    }
}

function toggleVideo() {
    if (!localStream) return;

    const videoTrack = localStream.getVideoTracks()[0];
    if (videoTrack) {
        isVideoEnabled = !isVideoEnabled;
        videoTrack.enabled = isVideoEnabled;
        
        // Update UI
        const btn = document.getElementById('toggleVideoBtn');
        const localVideoBox = document.getElementById('localVideoBox');
        btn.classList.toggle('muted', !isVideoEnabled);
        localVideoBox.classList.toggle('video-off', !isVideoEnabled);
    }
}

function endCall() {
    // Close peer connection
    if (peerConnection) {
        peerConnection.close();
        peerConnection = null;
    }
    
    // Stop all tracks
    if (localStream) {
        localStream.getTracks().forEach(track => track.stop());
        localStream = null;
    }
    
    // Reset state
    remoteUserId = null;
    iceCandidatesQueue = [];
    isAudioEnabled = true;
    isVideoEnabled = true;

    // Reset UI
    resetVideoControls();
    document.getElementById('videoCallContainer').classList.remove('active');
    document.getElementById('remoteVideo').srcObject = null;
    document.getElementById('localVideo').srcObject = null;
}
