from emulator.exec.names import files_first, hosts

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


def test_the_hosts_file_is_asked_first() -> None:
    given = "passwd: files\nhosts:  mymachines resolve [!UNAVAIL=return] files dns # x\n"
    assert files_first(given) == (
        "passwd: files\nhosts: files mymachines resolve [!UNAVAIL=return] dns# x\n"
    )
    assert files_first("hosts: files dns\n") == "hosts: files dns\n"
