import NIOCore
import Core
import Logging
import ServiceLifecycle
enum Stub {}
