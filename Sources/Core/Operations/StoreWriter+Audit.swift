extension StoreWriter {
    /// Writes down what an admin does, in the write that does it.
    ///
    /// - throws: the store's error.
    package func audit(_ record: AuditRecord, as acting: Acting) throws {
        try self.insert(
            AuditEntry(
                id: acting.ids.next(at: acting.now), admin: acting.user.id, action: record.action.rawValue,
                resource: record.resource, parameters: try JSON.text(record.parameters.mapValues(\.shortened)),
                at: acting.now, origin: acting.origin))
    }
}

extension JSONValue {
    /// Texts cut to what an entry holds.
    fileprivate var shortened: JSONValue {
        switch self {
        case .string(let text):
            let scalars = text.unicodeScalars
            guard scalars.count > Limits.auditTextCharactersMax else { return self }
            return .string(String(String.UnicodeScalarView(scalars.prefix(Limits.auditTextCharactersMax))) + "…")
        case .array(let values): return .array(values.map(\.shortened))
        case .object(let members): return .object(members.mapValues(\.shortened))
        case .null, .bool, .integer, .number: return self
        }
    }
}
