import NIOWebSocket
import Crypto
enum Stub {}
