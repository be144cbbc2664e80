"""The registry of models: which bundle is in force for each language, since when, who said so, and the way back.

    FOLDER/bundles/NAME/     a bundle: an encoder's (models/bundle.py), or a linear one (models/linear.py); never changed once it is there
    FOLDER/current.json      language -> bundle, and every promotion and rollback with its time, its author and the reason
    FOLDER/.lock             held while current.json is made anew

`current.json` is replaced in one step, so it can be read at any moment. The bundles that ship with the package are a registry of
their own that nobody writes to: its names can be used everywhere (`linear` among them), and what it has in force holds for each
language that nothing was promoted for: a language's encoder, where its bundle is there and the libraries that run it are, else
`linear`.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Final, Literal

import msgspec

from groundswell.clock import Clock, SystemClock
from groundswell.errors import BundleError, NotFoundError, SettingsError, UsageError, reason_of
from groundswell.logs import logger
from groundswell.names import LANGUAGES
from models import bundle
from models.bundle import EncoderBundle, Metric
from models.by_language import ByLanguage, JudgingScorer
from models.formats import LEXICON_FILE, Found, copy_bundle, has_same_files, names_in, open_bundle
from models.scorer import LINEAR_BUNDLES, Digest, Finder, LinearScorer

FORMAT: Final = "groundswell-registry-1"
LINEAR: Final = "linear"
STATE_FILE: Final = "current.json"
BUNDLES_FOLDER: Final = "bundles"
SLACK: Final = 0.01  # how much worse a figure may be where no interval is known
ENGINE_LIBRARIES: Final = ("onnxruntime", "tokenizers")
PREFERRED: Final[Mapping[str, str]] = {"en": "en-bge", "zh": "zh-bge"}
"""Language -> the shipped bundle that is in force before anything is promoted, if it can be used."""

Use = Literal["auto", "linear"]
"""auto: what is in force; linear: the shipped linear models."""

_log = logger("groundswell.models")


# --- what is written -------------------------------------------------------------------------------------------------------
class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change of what is in force for a language."""

    at: str  # UTC, 2026-11-23T10:05:00Z
    action: Literal["promote", "rollback"]
    language: str
    bundle: str | None  # in force from then on; None: what ships with the package
    before: str | None
    by: str
    why: str = ""


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of current.json."""

    format: str = FORMAT
    current: dict[str, str] = {}  # language -> bundle
    history: list[Move] = []  # oldest first


class Registry:
    """A folder of bundles and what is in force. Safe to use from several processes; one object belongs to one thread at a time."""

    def __init__(
        self,
        root: Path,
        *,
        shipped: "Registry | None" = None,
        clock: Clock | None = None,
        preferred: Mapping[str, str] | None = None,
        can_run: Callable[[], bool] | None = None,
    ) -> None:
        """Open a registry; nothing is created before the first promotion.

        Args:
            root: its folder.
            shipped: the registry behind it; None: this one stands alone and is never written to.
            clock: tells the time of promotions.
            preferred: of a registry that stands alone, language -> bundle in force where it is there and `can_run`; else `linear`.
            can_run: whether an encoder can be run here; None looks for the libraries.
        """
        self.root = root
        self._preferred = dict(preferred or {})
        self._can_run = can_run or engine_is_there
        self.shipped = shipped
        self._clock = clock or SystemClock()
        self._state_path = root / STATE_FILE
        self._seen: tuple[tuple[int, int, int] | None, str] | None = None

    # --- reading ---
    def state(self) -> State:
        """What is in force, and how it came to be.

        Raises:
            SettingsError: current.json is not what this version writes.
        """
        try:
            state = msgspec.json.decode(self._state_path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except (OSError, msgspec.MsgspecError) as error:
            message = f"registry {self._state_path}: cannot be read ({reason_of(error)}); restore the file, or remove it and promote again"
            raise SettingsError(message) from error
        if state.format != FORMAT:
            message = (
                f"registry {self._state_path}: format is {state.format!r}, this version writes {FORMAT!r}; use the version that wrote it"
            )
            raise SettingsError(message)
        return state

    def revision(self) -> str:
        """Sixteen hexadecimal digits that change when `current` may have changed; cheap enough to ask before every batch.

        Raises:
            SettingsError: the file is there and cannot be read.
        """
        try:
            found = self._state_path.stat()
            mark = found.st_ino, found.st_mtime_ns, found.st_size
            if self._seen is None or self._seen[0] != mark:
                self._seen = mark, hashlib.sha256(self._state_path.read_bytes()).hexdigest()[:16]
        except FileNotFoundError:
            self._seen = None, "0" * 16
        except OSError as error:
            message = f"registry {self._state_path}: cannot be read ({reason_of(error)}); check the folder's permissions"
            raise SettingsError(message) from error
        return self._seen[1]

    def current(self, language: str) -> str:
        """The name of the bundle in force for a language: the promoted one, else what ships with the package."""
        if self.shipped is None:
            preferred = self._preferred.get(language)
            there = preferred is not None and (self.root / BUNDLES_FOLDER / preferred / bundle.CARD_FILE).exists()
            return preferred if preferred is not None and there and self._can_run() else LINEAR
        return self.state().current.get(language) or self.shipped.current(language)

    def in_force(self) -> dict[str, str]:
        """{language: name} for every language."""
        return {language: self.current(language) for language in LANGUAGES}

    def names(self) -> list[str]:
        """Every bundle that can be named: those of this folder, then those that ship, each sorted; broken ones too."""
        return list(dict.fromkeys([*names_in(self.root / BUNDLES_FOLDER), *(self.shipped.names() if self.shipped else [])]))

    def directory(self, name: str) -> Path:
        """Where a bundle lies.

        Raises:
            NotFoundError: no such bundle; the text lists those there are.
        """
        plain = Path(name).name == name and name not in ("", ".", "..")
        if plain and (path := self.root / BUNDLES_FOLDER / name).is_dir():
            return path
        if plain and self.shipped is not None and name in self.shipped.names():
            return self.shipped.directory(name)
        message = f"bundle {name!r}: is not in registry {self.root}; it has {', '.join(self.names()) or 'none'}, or give a folder's path"
        raise NotFoundError(message)

    def place(self, name_or_path: str | Path) -> Path:
        """Where a bundle lies that may be named, or given as a folder: a Path, or a text with a slash in it.

        Raises:
            NotFoundError: a name that is not here.
        """
        if isinstance(name_or_path, Path) or os.sep in name_or_path:
            return Path(name_or_path)
        return self.directory(name_or_path)

    def open(self, name: str) -> Found:
        """Read and check a bundle by its name here.

        Raises:
            NotFoundError: there is none.
            BundleError: it cannot be trusted.
        """
        return open_bundle(self.directory(name))

    # --- writing ---
    def add(self, source: Path, *, name: str | None = None) -> str:
        """Copy a bundle into the registry, all of it or nothing; returns its name.

        Args:
            source: the bundle's folder.
            name: what it is called here; by default as its card says, a linear bundle as its folder is called.

        Raises:
            BundleError: it cannot be trusted.
            UsageError: another bundle has the name.
        """
        found = open_bundle(source)
        name = name or (found.encoder.card.name if found.encoder else source.resolve().name)
        if not bundle.is_name(name):
            message = f"bundle {source}: its name here is 1 to 64 of a-z, 0-9, dot, hyphen, underscore; got {name!r}; give another name"
            raise UsageError(message)
        with self._locked():
            if name not in self.names():
                copy_bundle(found, self.root / BUNDLES_FOLDER / name)
            elif not has_same_files(found, self.directory(name)):
                message = f"bundle {source}: a bundle called {name!r} is there already, with other content; give another name"
                raise UsageError(message)
        return name

    def promote(
        self, name: str, *, languages: Collection[str] | None = None, by: str = "", why: str = "", force: bool = False
    ) -> list[Move]:
        """Put a bundle in force, after it has passed every check; returns what was moved (nothing where it was in force already).

        Args:
            name: of a bundle in this registry or among those that ship.
            languages: which of its languages; all by default.
            by: who says so.
            why: the reason.
            force: even if it is measurably worse than what is in force.

        Raises:
            BundleError: the bundle cannot be trusted.
            NotFoundError: there is no such bundle.
            UsageError: the bundle has no such language, or is worse on a figure that both cards give.
            SettingsError: the folder cannot be written to.
        """
        found = self.open(name)
        wanted = tuple(languages or found.languages)
        for language in wanted:
            if language not in found.languages:
                message = f"bundle {name!r}: has {', '.join(found.languages)}, not {language!r}; name one of its languages"
                raise UsageError(message)
        with self._locked():
            state, moves = self.state(), []
            for language in wanted:
                before = self.current(language)
                if before == found.name:
                    continue
                if not force:
                    self._check_not_worse(found, before, language)
                moves.append(Move(self._now(), "promote", language, found.name, state.current.get(language), by, why))
            if moves:
                self._write(State(current=state.current | {m.language: found.name for m in moves}, history=[*state.history, *moves]))
        return moves

    def rollback(self, *, languages: Collection[str] | None = None, by: str = "", why: str = "") -> list[Move]:
        """Go back to what was in force before the last promotion that still stands; what is gone back to is checked first.

        Args:
            languages: whose last promotion is taken back; by default all for which the last promoted bundle is in force.
            by: who says so.
            why: the reason.

        Raises:
            UsageError: nothing was promoted, so there is nothing to go back from.
            BundleError, NotFoundError: an earlier bundle is broken or gone; nothing was changed.
        """
        with self._locked():
            state, moves = self.state(), []
            stacks = {language: standing(state.history, language) for language in LANGUAGES}
            for language in languages or _promoted_last(state.history):
                stack = stacks.get(language)
                if not stack:
                    message = f"registry {self.root}: no promotion stands for {language!r}; `groundswell models list` shows all"
                    raise UsageError(message)
                earlier = stack[-2] if len(stack) > 1 else None
                if earlier is not None:
                    self.open(earlier)
                moves.append(Move(self._now(), "rollback", language, earlier, stack[-1], by, why))
            if not moves:
                message = f"registry {self.root}: no promotion stands, so there is none to take back; `groundswell models list` shows all"
                raise UsageError(message)
            current = {language: name for language, name in state.current.items() if language not in {m.language for m in moves}}
            current |= {move.language: move.bundle for move in moves if move.bundle is not None}
            self._write(State(current=current, history=[*state.history, *moves]))
        return moves

    def _check_not_worse(self, found: Found, before: str, language: str) -> None:
        try:
            standing_now = self.open(before)
        except (BundleError, NotFoundError):
            return  # what is in force is broken or gone: anything that works is better
        worse = worse_figures(found.figures.get(language, {}), standing_now.figures.get(language, {}))
        if worse:
            shown = "; ".join(f"{name} {new.value:.3f} against {old.value:.3f}" for name, new, old in worse)
            message = f"bundle {found.name!r}: is worse than {before!r}, which is in force for {language}: {shown}; promote it with --force"
            raise UsageError(message)

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self.shipped is None:
            message = f"registry {self.root}: ships with the package and is never changed; set models.registry to a folder of your own"
            raise UsageError(message)
        try:
            (self.root / BUNDLES_FOLDER).mkdir(parents=True, exist_ok=True)
            lock = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            message = f"registry {self.root}: cannot be written to ({reason_of(error)}); check the folder that models.registry names"
            raise SettingsError(message) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, state: State) -> None:
        number, name = tempfile.mkstemp(prefix=f".{STATE_FILE}.", dir=self.root)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            os.replace(name, self._state_path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        bundle.sync_folder(self.root)


def standing(history: Sequence[Move], language: str) -> list[str]:
    """The promotions of a language that no rollback has taken back, oldest first.

    >>> moves = [Move("", "promote", "en", name, None, "") for name in ("a", "b")] + [Move("", "rollback", "en", "a", "b", "")]
    >>> standing(moves, "en"), standing(moves, "zh")
    (['a'], [])
    """
    stack: list[str] = []
    for move in history:
        if move.language == language and move.action == "promote" and move.bundle is not None:
            stack.append(move.bundle)
        elif move.language == language and stack:
            stack.pop()
    return stack


def _promoted_last(history: Sequence[Move]) -> list[str]:
    """The languages for which the bundle of the last promotion that stands is in force."""
    stacks = {language: standing(history, language) for language in LANGUAGES}
    last = next((m.bundle for m in reversed(history) if m.action == "promote" and stacks[m.language][-1:] == [m.bundle]), None)
    return [language for language, stack in stacks.items() if last is not None and stack[-1:] == [last]]


def worse_figures(new: Mapping[str, Metric], old: Mapping[str, Metric]) -> list[tuple[str, Metric, Metric]]:
    """Figures that both have, and on which the new one is worse beyond what chance explains.

    Worse: its value lies outside the old one's 95 % interval; where the old one has none, its own interval lies below the
    old value; where neither has one, it is more than SLACK below.

    >>> old = {"F1": Metric(0.80, 0.78, 0.82)}
    >>> [name for name, _, _ in worse_figures({"F1": Metric(0.77)}, old)], worse_figures({"F1": Metric(0.79)}, old)
    (['F1'], [])
    """
    return [(name, new[name], old[name]) for name in new if name in old and _is_worse(new[name], old[name])]


def _is_worse(new: Metric, old: Metric) -> bool:
    if old.better == "lower":
        return new.value > old.high if old.high is not None else (new.value - SLACK if new.low is None else new.low) > old.value
    return new.value < old.low if old.low is not None else (new.value + SLACK if new.high is None else new.high) < old.value


# --- scorers -------------------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=1)
def engine_is_there() -> bool:
    """Whether the libraries that run an encoder can be imported; looked up once."""
    try:
        for library in ENGINE_LIBRARIES:
            import_module(library)
    except ImportError as error:
        _log.info("encoders cannot be run here, the linear models score instead", reason=reason_of(error))
        return False
    return True


SHIPPED: Final = Registry(Path(__file__).resolve().parent, preferred=PREFERRED)
"""What comes with the package: models/bundles."""


def registry_at(folder: str | Path | None) -> Registry:
    """The registry of the settings (`models.registry`); without one, what ships with the package."""
    return Registry(Path(folder), shipped=SHIPPED) if folder else SHIPPED


def load_scorer(
    name_or_path: str | Path,
    *,
    finder: Finder,
    digest: Digest,
    registry: Registry = SHIPPED,
    languages: Collection[str] = LANGUAGES,
    device: str = "cpu",
) -> JudgingScorer:
    """The scorer of one bundle: the one place that turns bundles into scorers.

    Args:
        name_or_path: as in `Registry.place`; `linear` always is a name.
        finder: as its type says.
        digest: as its type says.
        registry: where names are looked up.
        languages: of a bundle with several, these only.
        device: that encoders run on: "cpu", or "cuda" by way of torch.

    Raises:
        NotFoundError: there is no such bundle.
        BundleError: it cannot be trusted, or cannot be run here.
    """
    directory = registry.place(name_or_path)
    found = open_bundle(directory, languages=languages)
    if found.encoder is not None:
        return _encoder_scorer(found.encoder, finder=finder, digest=digest, device=device)
    own = directory / LEXICON_FILE
    return LinearScorer(found.linear, _lexicon(own if own.exists() else LINEAR_BUNDLES / LEXICON_FILE), finder=finder, digest=digest)


def _encoder_scorer(encoder: EncoderBundle, *, finder: Finder, digest: Digest, device: str) -> JudgingScorer:
    """A scorer whose lexicon is the bundle's own, if it has one; the engine is not imported before it is needed."""
    try:
        from models import encoder_scorer
    except ImportError as error:
        message = (
            f"bundle {encoder.directory}: is run by {' and '.join(ENGINE_LIBRARIES)}; got {reason_of(error)}; "
            "install them, or set models.use to linear"
        )
        raise BundleError(message) from error
    return encoder_scorer.load(encoder, finder=finder, digest=digest, lexicon=encoder.data.get(LEXICON_FILE), device=device)


def _lexicon(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"bundle {path}: cannot be read ({reason_of(error)}); restore the file"
        raise BundleError(message) from error


def current_scorer(
    registry: Registry,
    *,
    finder: Finder,
    digest: Digest,
    use: Use = "auto",
    device: str = "cpu",
    bundles: Mapping[str, str] | None = None,
) -> JudgingScorer:
    """The scorer in force: for each language the bundle that was promoted for it, else what ships.

    Args:
        registry: says which bundles are in force.
        finder: as in `load_scorer`.
        digest: as in `load_scorer`.
        use: "linear": the shipped linear models, whatever is in force.
        device: as in `load_scorer`.
        bundles: {language: name}, instead of what the registry has in force.

    Raises:
        NotFoundError, BundleError: as in `load_scorer`.
        SettingsError: the registry cannot be read.
    """
    if use == LINEAR:
        return load_scorer(LINEAR, finder=finder, digest=digest)
    languages_of: dict[str, list[str]] = {}
    for language, name in (bundles or registry.in_force()).items():
        languages_of.setdefault(name, []).append(language)

    def load(name: str) -> JudgingScorer:
        return load_scorer(name, finder=finder, digest=digest, registry=registry, languages=languages_of[name], device=device)

    with ThreadPoolExecutor() as pool:  # unpacking and building a graph leave the interpreter free: 0.3 s less for two languages
        scorers = list(pool.map(load, languages_of))
    return scorers[0] if len(scorers) == 1 else ByLanguage(scorers)
