from derma_assets.machine import machine, vector_units


def test_the_machine_is_described() -> None:
    assert " x " in machine()
    assert "GB" in machine()
    assert vector_units()
