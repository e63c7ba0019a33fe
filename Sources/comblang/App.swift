import Configuration
import ArgumentParser
import AsyncHTTPClient
import Gateway
@main struct App { static func main() {} }
