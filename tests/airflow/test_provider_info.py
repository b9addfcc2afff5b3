"""What Airflow learns of the provider: its description, and the form of its connection."""

from __future__ import annotations

import importlib
import json
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager
from packaging.version import Version

from airflow_provider_ollang import __version__, get_provider_info
from airflow_provider_ollang.hooks.ollang import OllangHook

ROOT = Path(__file__).parents[2]
AIRFLOW_VERSION = Version(airflow.__version__)
READS_FORM_FROM_INFO = Version("3.2") <= AIRFLOW_VERSION

#: Airflow 3.0 and 3.1 build the form from widgets, which they do not bring; their UI does without.
needs_form = pytest.mark.skipif(
    not READS_FORM_FROM_INFO and find_spec("wtforms") is None,
    reason="without WTForms this Airflow shows the form in its UI only, which has its own test",
)

LABELS = {"timeout": "Timeout (seconds)", "max_attempts": "Max attempts", "verify": "CA bundle"}


def schema(name: str) -> dict[str, Any]:
    return json.loads((files("airflow") / name).read_text())


def connection_type() -> dict[str, Any]:
    [only] = get_provider_info()["connection-types"]
    return only


def conn_fields() -> dict[str, Any]:
    return connection_type()["conn-fields"]


@pytest.fixture(scope="module")
def manager() -> ProvidersManager:
    return ProvidersManager()


def test_the_description_is_valid():
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_every_part_is_valid_as_an_official_provider_would_write_it():
    parts = schema("provider.yaml.schema.json")["properties"]
    info = get_provider_info()
    # Airflow's discovery adds the address of the documentation to what it is given.
    info = {name: part for name, part in info.items() if name != "documentation-url"}
    assert set(info) <= set(parts)
    for name in info:
        jsonschema.validate(info[name], parts[name])


def test_every_module_that_is_named_is_there():
    info = get_provider_info()
    named = [part for key in ("hooks", "operators") for part in info[key]]
    for part in named:
        for module in part["python-modules"]:
            assert find_spec(module), module
    assert {part["integration-name"] for part in named} == {
        integration["integration-name"] for integration in info["integrations"]
    }


def test_discovery_finds_the_provider(manager):
    provider = manager.providers["airflow-provider-ollang"]
    assert provider.version == __version__
    assert provider.data["name"] == "Ollang"


@pytest.mark.filterwarnings("ignore:.*ProvidersManager.hooks is deprecated")
def test_discovery_finds_the_hook(manager):
    hook = manager.hooks["ollang"]
    assert hook is not None
    assert hook.hook_class_name == "airflow_provider_ollang.hooks.ollang.OllangHook"
    assert hook.hook_name == "Ollang"
    assert hook.connection_id_attribute_name == "ollang_conn_id"
    assert hook.connection_testable is True


@needs_form
def test_the_form_shows_the_standard_fields_as_they_are_meant(manager):
    behaviour = manager.field_behaviours["ollang"]
    assert set(behaviour["hidden_fields"]) == {"login", "port", "schema"}
    assert behaviour["relabeling"] == {"host": "Base URL", "password": "API key"}
    assert "https://api-integration.ollang.com" in behaviour["placeholders"]["host"]
    assert "Project settings" in behaviour["placeholders"]["password"]


@needs_form
def test_the_form_has_a_field_for_each_extra_that_says_what_it_does(manager):
    widgets = manager.connection_form_widgets
    ours = {name for name in widgets if name.startswith("extra__ollang__")}
    assert ours == {f"extra__ollang__{name}" for name in LABELS}
    for name, label in LABELS.items():
        widget = widgets[f"extra__ollang__{name}"]
        assert (widget.field_name, widget.is_sensitive) == (name, False)
        if READS_FORM_FROM_INFO:
            shown, description = widget.field["schema"]["title"], widget.field["description"]
        else:  # a field of WTForms that is bound to no form yet
            shown, description = widget.field.args[0], widget.field.kwargs["description"]
        assert (shown, description) == (label, conn_fields()[name]["description"])


#: In a process of its own, as the UI's server is: it stands in for WTForms where that is missing.
SHOW_FORM = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
[form] = [it for it in HookMetaService.hook_meta_data() if it.connection_type == "ollang"]
titles = {name: field["schema"]["title"] for name, field in form.extra_fields.items()}
standard = form.standard_fields
print(json.dumps([form.hook_name, titles, standard.password.title, standard.login.hidden]))
"""


@pytest.mark.skipif(Version("3.0") > AIRFLOW_VERSION, reason="Airflow 2 has another UI")
def test_the_ui_of_airflow_3_is_given_the_form(command):
    shown = command("-c", SHOW_FORM)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout.splitlines()[-1]) == ["Ollang", LABELS, "API key", True]


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("timeout", [None, 5], [0.5, 601, "5"]),
        ("max_attempts", [None, 1], [0, 11]),
        ("verify", [None, "false", "/etc/ca.pem"], []),
    ],
)
def test_the_form_takes_what_the_hook_takes_and_may_stay_empty(name, taken, refused):
    checker = jsonschema.Draft7Validator(conn_fields()[name]["schema"])
    assert all(map(checker.is_valid, taken))
    assert not any(map(checker.is_valid, refused))
    assert "default" not in conn_fields()[name]["schema"]


def test_the_hooks_behaviour_agrees_with_the_description():
    described = connection_type()["ui-field-behaviour"]
    assert OllangHook.get_ui_field_behaviour() == {
        "hidden_fields": described["hidden-fields"],
        "relabeling": described["relabeling"],
        "placeholders": described["placeholders"],
    }
    jsonschema.validate(
        OllangHook.get_ui_field_behaviour(),
        schema("customized_form_field_behaviours.schema.json"),
    )


def test_the_form_of_airflow_2_takes_empty_fields():
    pytest.importorskip("flask_appbuilder", reason="Airflow 3 comes without this form")
    from werkzeug.datastructures import MultiDict
    from wtforms.form import BaseForm

    form = BaseForm(OllangHook.get_connection_form_widgets())
    form.process(MultiDict(dict.fromkeys(LABELS, "")))
    assert form.validate(), form.errors


def test_the_hooks_widgets_agree_with_the_description():
    pytest.importorskip("flask_appbuilder", reason="Airflow 3 comes without this form")
    widgets = OllangHook.get_connection_form_widgets()
    assert list(widgets) == list(conn_fields())
    for name, widget in widgets.items():
        assert widget.args[0] == conn_fields()[name]["label"]
        assert widget.kwargs["description"] == conn_fields()[name]["description"]
    kinds = [widget.field_class.__name__ for widget in widgets.values()]
    assert kinds == ["StringField", "IntegerField", "StringField"]


@pytest.mark.skipif(Version("3.1") > AIRFLOW_VERSION, reason="approvals need Airflow 3.1")
def test_the_registry_is_told_of_every_class_with_its_description():
    yaml = pytest.importorskip("yaml", reason="only the development setup has PyYAML")
    registry = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text())
    info = get_provider_info()
    assert registry["package-name"] == info["package-name"]
    assert registry["display-name"] == info["name"]
    assert registry["docs-url"] == info["integrations"][0]["external-doc-url"]
    for part in ("hooks", "operators", "sensors"):
        named = {entry["module"] for entry in registry[part]}
        paths = [path for it in info[part] for path in it["python-modules"]]
        modules = [importlib.import_module(path) for path in paths]
        assert named == {
            f"{module.__name__}.{name}"
            for module in modules
            for name, found in vars(module).items()
            if isinstance(found, type)
            and (found.__module__ == module.__name__ or name in getattr(module, "__all__", ()))
        }
    for entry in registry["other"]:
        module, _, name = entry["module"].rpartition(".")
        assert hasattr(importlib.import_module(module), name)


def test_the_how_to_guides_are_there():
    for integration in get_provider_info()["integrations"]:
        for guide in integration["how-to-guide"]:
            assert (ROOT / guide.lstrip("/")).is_file()
