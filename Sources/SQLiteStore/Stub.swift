import GRDB
import CMigrations
import Hub
enum Stub {}
