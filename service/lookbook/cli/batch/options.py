"""Options that the batch commands share. Tests: tests/spark/test_batch.py."""

import click


def _pairs(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    for value in values:
        if "=" not in value.strip("="):
            raise click.BadParameter(f"{value!r} is not KEY=VALUE, such as spark.driver.memory=2g")
    return dict(value.split("=", 1) for value in values)


conf_option = click.option(
    "--conf", metavar="KEY=VALUE", multiple=True, callback=_pairs, help="Spark setting. Can be repeated."
)
