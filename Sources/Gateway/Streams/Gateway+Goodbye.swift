import Core
import Hub
import Logging

extension Gateway {
    /// A WebSocket's peer closed it with 1000 or 1001: its device leaves its calls at once instead of by lease.
    ///
    /// Must be told while the WebSocket still holds its place. A device that reads elsewhere too has only changed its
    /// wire.
    func saidGoodbye(_ reservation: Registry.Reservation, _ subscription: Subscription) {
        // The room protocol has no other way to leave; who reads envelopes may go on by another wire.
        if subscription.readsFrames { self.hub.registry.saidGoodbye(reservation) }
        guard self.hub.registry.readerCount(of: subscription.device) <= 1 else { return }
        let (now, ids) = (self.time.now, self.ids)
        self.store.writeUrgently { store in
            try store.leaveCalls(
                of: subscription.user, on: subscription.device,
                reason: subscription.readsFrames ? "inferred: closed" : "closed",
                now: now, ids: ids)
        } completion: { [logger] result in
            // Its lease runs out all the same.
            guard case .failure(let error) = result else { return }
            logger.warning(
                "goodbye not recorded", metadata: ["user.id": "\(subscription.user)", "error": "\(error)"])
        }
    }
}
