"""Listens to the telephone exchange itself: Asterisk's manager interface (AMI), where no bridge posts to the call hook.

`address` reads where it is, `protocol` its lines, `ami` keeps the connection, `mapping` says what its events mean for calls,
`listening` brings them to the database.
"""
