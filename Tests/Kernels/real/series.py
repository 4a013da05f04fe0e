"""One test class for each kernel."""

import unittest


def for_each(loader, series: list, base: type, name: str) -> unittest.TestSuite:
    """The tests of `base`, which is no TestCase itself, once for each series; the classes are called name_6_1 and so on."""
    suite = unittest.TestSuite()
    for one in series:
        members = {"series": one, "__module__": base.__module__}
        made = type(f"{name}_{one.replace('.', '_')}", (base, unittest.TestCase), members)
        suite.addTests(loader.loadTestsFromTestCase(made))
    return suite
