from emulator.exec.names import asking, files_and_dns_first, hosts

FILE = """\
# local names
127.0.0.1 localhost
10.0.0.7 shop API.unsandbox.com other # mine
10.0.0.8 api.unsandbox.com unsandbox.com
::1 localhost
"""


def test_the_api_s_names_lead_to_one_address_and_nowhere_else() -> None:
    assert hosts(FILE, "127.99.1.1").splitlines() == [
        "127.99.1.1 api.unsandbox.com unsandbox.com",
        "# local names",
        "127.0.0.1 localhost",
        "10.0.0.7 shop other # mine",
        "::1 localhost",
    ]


def test_the_hosts_file_and_the_name_server_are_asked_first() -> None:
    given = "passwd: files\nhosts:  mymachines resolve [!UNAVAIL=return] files dns # x\n"
    assert files_and_dns_first(given) == ("passwd: files\nhosts: files dns mymachines resolve# x\n")
    assert files_and_dns_first("hosts: files dns\n") == "hosts: files dns\n"


def test_one_name_server_is_asked_in_the_place_of_all() -> None:
    given = "search corp\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\noptions edns0\n"
    assert asking(given, "127.99.1.1") == "nameserver 127.99.1.1\nsearch corp\noptions edns0\n"
