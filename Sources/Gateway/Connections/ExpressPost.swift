import Core
import Foundation
import Hub
import NIOCore
import NIOFoundationCompat

/// `POST /v1/rooms/{room}/messages` of the express lane.
final class ExpressPost: ExpressExchange {
    private let head: ExpressHead
    private let room: RoomReference
    private let identity: Identity
    private let lane: ExpressLane
    private let requests: RequestSwitch
    private var rate: RateVerdict?

    init(
        _ head: ExpressHead, room: RoomReference, identity: Identity, lane: ExpressLane, requests: RequestSwitch
    ) {
        self.head = head
        self.room = room
        self.identity = identity
        self.lane = lane
        self.requests = requests
    }

    func requestEnded() {
        let bytes = BodyBytes(data: Data(buffer: self.requests.recordedBody))
        guard let request = try? bytes.decode(NewMessageRequest.self), let loop = self.requests.context?.eventLoop
        else { return self.requests.decline() }
        let gateway = self.lane.gateway
        let acting = gateway.acting(as: self.identity)
        let idempotency: IdempotencyKey?
        do {
            idempotency = try IdempotencyKey(
                self.head.idempotencyKey, method: "POST", path: String(self.head.path), body: bytes,
                user: acting.user.id)
        } catch {
            return self.requests.decline()
        }
        self.rate = gateway.limiter.take(.messages, of: .user(acting.user.id))
        guard self.rate?.isAllowed ?? true else { return self.requests.decline() }
        let (room, exchange) = (self.room, NIOLoopBound(self, eventLoop: loop))
        gateway.store.write { store in
            try gateway.answer(in: store, acting, idempotency) { store, acting in
                try MessageController.post(request, in: room, store, acting)
            }
        } completion: { result in
            loop.execute { exchange.value.wrote(result) }
        }
    }

    private func wrote(_ result: Result<Answer, any Error>) {
        let gateway = self.lane.gateway
        guard case .success(let answer) = result, answer.refusal == nil else {
            // The router counts it once more.
            gateway.limiter.giveBack(.messages, of: .user(self.identity.user.id))
            return self.requests.decline()
        }
        self.requests.answer(
            ResponseBytes(answer, origin: self.head.origin, rate: self.rate, gateway: gateway).bytes)
    }

    func shouldEnd() {}
}
