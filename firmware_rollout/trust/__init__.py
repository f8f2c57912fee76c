"""Who may say what a release is: The Update Framework's keys, roles and signed metadata.

The maker's keys (root, targets) stay off the network, each role's in several hands; Vigie holds two (snapshot, timestamp) that
can only say which of the maker's statements is the newest. What is stolen from one place is never enough to install anything.
"""
