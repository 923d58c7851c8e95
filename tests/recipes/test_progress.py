"""Progress of a training: a bar in a notebook, lines in a file."""

from types import SimpleNamespace

import nbclient
import nbformat
import pytest

from firstsight.recipes import progress
from firstsight.recipes.progress import ProgressBar

LINE = {"epoch": 1, "accuracy": 0.5, "seconds": 1.0}


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the HTML that the bar shows in a notebook, the newest last."""
    shown: list[str] = []
    handle = SimpleNamespace(update=lambda html: shown.append(html.data))
    monkeypatch.setattr("firstsight.display.notebook_shell", lambda: "a notebook")
    monkeypatch.setattr("IPython.display.display", lambda html, display_id: handle)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    return shown


def test_a_notebook_shows_a_bar_and_lines_and_keeps_the_lines(updates: list[str]) -> None:
    with ProgressBar() as bar:
        bar.note("photos <b>: 2 images")
        bar.on_step_end(1, 2, 1, 4, 2.5)
        bar.on_step_end(1, 2, 2, 4, 1.5)
        assert "value='2' max='8'" in updates[-1] and "epoch 1/2, loss 1.5000, 0:0" in updates[-1]
        bar.on_epoch_end(LINE, 2)
        assert "<progress" in updates[-1]
    assert "<progress" not in updates[-1] and "photos &lt;b&gt;: 2 images\nepoch   1/2" in updates[-1]


def test_the_validation_loss_is_shown(updates: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    line = LINE | {"train/loss": 0.5, "val/loss": 0.25, "test/loss": 0.75}
    shown = "train loss 0.5000  validation loss 0.2500  test loss 0.7500"
    with ProgressBar() as bar:
        bar.on_epoch_end(line, 2)
    assert shown in updates[-1]
    bar = ProgressBar()
    bar.on_epoch_end(line, 2)
    assert shown in capsys.readouterr().err


def test_the_bar_is_removed_when_the_training_is_interrupted(updates: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt), ProgressBar() as bar:
        bar.on_step_end(1, 2, 1, 4, 2.5)
        raise KeyboardInterrupt
    assert "<progress" in updates[0] and "<progress" not in updates[-1]


def test_a_file_gets_lines_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar() as bar:
        bar.on_step_end(1, 2, 1, 4, 2.5)
        bar.on_epoch_end(LINE, 2)
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("epoch   1/2") and err.count("\n") == 1 and "\x1b" not in err


@pytest.mark.slow
def test_a_kernel_trains_with_a_bar_and_stops_at_ctrl_c(tmp_path: object) -> None:
    cell = f"""
import os, pathlib, signal, threading, time
import firstsight as fs

def stop():
    while not pathlib.Path(r"{tmp_path}/run/metrics.jsonl").exists():
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=stop, daemon=True).start()
try:
    fs.train("lenet", epochs=100_000, progress=True, out=r"{tmp_path}/run")
except fs.Interrupted as error:
    print(error)
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    html = [output.data["text/html"] for output in outputs if output.output_type == "display_data"]
    assert len(html) == 1 and "lenet-digits: lenet on digits" in html[0] and "<progress" not in html[0]
    text = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert text.startswith("stopped at epoch") and "resume=True" in text
