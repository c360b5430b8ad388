"""The pages that the links of mails lead to: the server's own in several languages, or those of the app."""
