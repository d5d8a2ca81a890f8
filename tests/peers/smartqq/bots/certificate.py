"""Write ca.pem and server.pem into the working directory: a certificate for all hosts of the service."""

import trustme

HOSTS = ("*.qq.com", "*.ptlogin2.qq.com", "*.web2.qq.com")

authority = trustme.CA()
authority.cert_pem.write_to_path("ca.pem")
authority.issue_cert(*HOSTS).private_key_and_cert_chain_pem.write_to_path("server.pem")
