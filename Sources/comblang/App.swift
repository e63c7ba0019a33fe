import ArgumentParser

/// The program: `comblang serve` and its helpers at the command line.
@main
struct App: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "comblang",
        abstract: "Chat and call signaling over plain HTTP: introduces two people, then steps aside.",
        discussion: """
            serve, migrate, restore and doctor work on a data directory. All other commands are HTTP clients: they \
            sign in with COMBLANG_TOKEN, else with the admin token of the data directory on this machine.
            """,
        version: "0.1.0",
        subcommands: [
            ServeCommand.self, MigrateCommand.self, UserCommand.self, TokenCommand.self, RoomCommand.self,
            CallsCommand.self, SendCommand.self, TailCommand.self, LoadTestCommand.self, BackupCommand.self,
            RestoreCommand.self, DoctorCommand.self,
        ])
}
