"""A provider for rehearsals, tests and benchmarks: FCM with its token endpoint, APNs and Web Push over HTTP/2 with TLS, on this machine."""
