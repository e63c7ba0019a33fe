/// Certificates for tests alone, all of one key. Made by `openssl`, good for a hundred years but for the one that is
/// over.
enum TestCertificate: String, CaseIterable {
    /// For localhost and 127.0.0.1, signed by the authority.
    case good
    /// Signed by it as well, for `elsewhere.example`.
    case otherName
    /// As the good one, over since 2021.
    case expired
    /// For localhost and 127.0.0.1, signed by itself.
    case selfSigned

    var pem: String {
        switch self {
        case .good: Self.goodPEM
        case .otherName: Self.otherNamePEM
        case .expired: Self.expiredPEM
        case .selfSigned: Self.selfSignedPEM
        }
    }

    static let authority = """
        -----BEGIN CERTIFICATE-----
        MIIBiTCCAS+gAwIBAgIULZT8iateoK/AhWtP8UOaO9k2WKwwCgYIKoZIzj0EAwIw
        GTEXMBUGA1UEAwwOQ29tYmxhbmcgdGVzdHMwIBcNMjYxMTI0MTQyNTU4WhgPMjEy
        NjEwMzExNDI1NThaMBkxFzAVBgNVBAMMDkNvbWJsYW5nIHRlc3RzMFkwEwYHKoZI
        zj0CAQYIKoZIzj0DAQcDQgAElE4/kuTTp2JKVEXODrADqaJ9Mkg/pN3XrbPitjgt
        Z1LSeua/t6i7fUvpQakuFvmK0A/2gMUxq+PrTxqzECbpLaNTMFEwHQYDVR0OBBYE
        FJGv543/L7Ql+g6FNcjYnsYRxn6FMB8GA1UdIwQYMBaAFJGv543/L7Ql+g6FNcjY
        nsYRxn6FMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAJXtQb1+
        QXLx5r4HqzOvbis4kX+7LfKdN7cFFUIZmoypAiB5bOVx5vUQ5x/FktYQdI1aMiBb
        FlXlylDJCJ+VcusYOw==
        -----END CERTIFICATE-----
        """
    static let privateKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgg71MnvynDB9+9mkm
        rk7pmd3eevkR6JH715PS28nU0CKhRANCAAS5GN4CvzhPpVbpejhf/BnHIJhBCq8m
        umAR8Tt5DgEdgM1Isgk/GS0Eb4onQoXj17hOuoDDDbIvqZ1rIq+0iyS2
        -----END PRIVATE KEY-----
        """
    private static let goodPEM = """
        -----BEGIN CERTIFICATE-----
        MIIBmDCCAT6gAwIBAgIUTjLYLyra37+oNMKPp8EslGlHCkIwCgYIKoZIzj0EAwIw
        GTEXMBUGA1UEAwwOQ29tYmxhbmcgdGVzdHMwIBcNMjYxMTI0MTQyNTU4WhgPMjEy
        NjEwMzExNDI1NThaMA8xDTALBgNVBAMMBGhlcmUwWTATBgcqhkjOPQIBBggqhkjO
        PQMBBwNCAAS5GN4CvzhPpVbpejhf/BnHIJhBCq8mumAR8Tt5DgEdgM1Isgk/GS0E
        b4onQoXj17hOuoDDDbIvqZ1rIq+0iyS2o2wwajAaBgNVHREEEzARgglsb2NhbGhv
        c3SHBH8AAAEwDAYDVR0TAQH/BAIwADAdBgNVHQ4EFgQURY6tHD6fFlwGlQtpJEhC
        9a2wMYMwHwYDVR0jBBgwFoAUka/njf8vtCX6DoU1yNiexhHGfoUwCgYIKoZIzj0E
        AwIDSAAwRQIhAOorlKwZVm1xmgIrfbD2o+zkeDTKUkRjl4Ocb4EHJmdUAiBzUOAq
        RaaVZqHp3QH9JHBnttz4+p0mjRHDv87Kmlnnmg==
        -----END CERTIFICATE-----
        """
    private static let otherNamePEM = """
        -----BEGIN CERTIFICATE-----
        MIIBnjCCAUWgAwIBAgIUTjLYLyra37+oNMKPp8EslGlHCkQwCgYIKoZIzj0EAwIw
        GTEXMBUGA1UEAwwOQ29tYmxhbmcgdGVzdHMwIBcNMjYxMTI0MTQyNjUxWhgPMjEy
        NjEwMzExNDI2NTFaMBQxEjAQBgNVBAMMCWVsc2V3aGVyZTBZMBMGByqGSM49AgEG
        CCqGSM49AwEHA0IABLkY3gK/OE+lVul6OF/8GccgmEEKrya6YBHxO3kOAR2AzUiy
        CT8ZLQRviidChePXuE66gMMNsi+pnWsir7SLJLajbjBsMBwGA1UdEQQVMBOCEWVs
        c2V3aGVyZS5leGFtcGxlMAwGA1UdEwEB/wQCMAAwHQYDVR0OBBYEFEWOrRw+nxZc
        BpULaSRIQvWtsDGDMB8GA1UdIwQYMBaAFJGv543/L7Ql+g6FNcjYnsYRxn6FMAoG
        CCqGSM49BAMCA0cAMEQCICEdYph0pdhLyHQpeLadupJDQcXczQyOn4VckmrR/op2
        AiARLcIr0LoOy3gsaydIvC0o87GLpMjkOnIi8S7yBFFEfg==
        -----END CERTIFICATE-----
        """
    private static let expiredPEM = """
        -----BEGIN CERTIFICATE-----
        MIIBhzCCAS2gAwIBAgICEAAwCgYIKoZIzj0EAwIwGTEXMBUGA1UEAwwOQ29tYmxh
        bmcgdGVzdHMwHhcNMjAwMTAxMDAwMDAwWhcNMjEwMTAxMDAwMDAwWjASMRAwDgYD
        VQQDDAdleHBpcmVkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEuRjeAr84T6VW
        6Xo4X/wZxyCYQQqvJrpgEfE7eQ4BHYDNSLIJPxktBG+KJ0KF49e4TrqAww2yL6md
        ayKvtIsktqNsMGowGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMAwGA1UdEwEB
        /wQCMAAwHQYDVR0OBBYEFEWOrRw+nxZcBpULaSRIQvWtsDGDMB8GA1UdIwQYMBaA
        FJGv543/L7Ql+g6FNcjYnsYRxn6FMAoGCCqGSM49BAMCA0gAMEUCIBpEUydKcKvd
        lL5qtS3D6A0OcnEvYn+W/YbPw+CdQxXCAiEA2mdvvA2zyB9cx27/19M9NahqbLJj
        YEW5b5Wy6iXaaME=
        -----END CERTIFICATE-----
        """
    private static let selfSignedPEM = """
        -----BEGIN CERTIFICATE-----
        MIIBkTCCATegAwIBAgIUTf98S9M4aTtFb9IcUt/nAUJ/aSYwCgYIKoZIzj0EAwIw
        DzENMAsGA1UEAwwEc2VsZjAgFw0yNjExMjQxNDI1NThaGA8yMTI2MTAzMTE0MjU1
        OFowDzENMAsGA1UEAwwEc2VsZjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLkY
        3gK/OE+lVul6OF/8GccgmEEKrya6YBHxO3kOAR2AzUiyCT8ZLQRviidChePXuE66
        gMMNsi+pnWsir7SLJLajbzBtMB0GA1UdDgQWBBRFjq0cPp8WXAaVC2kkSEL1rbAx
        gzAfBgNVHSMEGDAWgBRFjq0cPp8WXAaVC2kkSEL1rbAxgzAPBgNVHRMBAf8EBTAD
        AQH/MBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAKBggqhkjOPQQDAgNIADBF
        AiEAkBJEed6dwck+UfwJYISiJRpBI2F4cEn7rcr/apO4wWwCIEZq7Ld7Biyfaazw
        j8J2VGSvmpMAfFyWLFc2yfrzs1Vk
        -----END CERTIFICATE-----
        """
}
