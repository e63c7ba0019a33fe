import Hummingbird
import JWTKit
import Yams
import CryptoExtras
import COpenAPI
enum Stub {}
