"""Settings of recognition: device and engine, switches, thresholds, limits."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, create_model, model_validator

from apps.common.config import Scope, Section, Settings, group, setting
from apps.recognition.switches import SWITCHES, variable


@group("LUNA_REMOTE_SDK_RUNTIME_SETTINGS", scope=Scope.ENGINE)
class Runtime(Settings):
    """The recognition engine."""

    global_device_class: str = setting(
        "cpu",
        "The device. A CUDA device that is not present stops the start.",
        env="LUNA_DEVICE",
        accepts="cpu, cuda or cuda:N",
        pattern=r"^(cpu|cuda(:[0-9]{1,3})?)$",
    )
    num_threads: int = setting(
        0,
        "Networks that run at the same time; 0: one per core, two with CUDA.",
        env="LUNA_ENGINE_THREADS",
        ge=0,
        le=1024,
    )
    gpu_memory_bytes: int = setting(
        0, "Bound of the CUDA memory arena of each network; 0: none.", env="LUNA_GPU_MEMORY_BYTES", ge=0, le=2**40
    )
    inference_url: str = setting(
        "",
        "An Open Inference Protocol v2 server that runs the networks instead of `LUNA_DEVICE`. Default: none.",
        env="LUNA_INFERENCE_URL",
        accepts="a URL that begins with `http://`, `https://`, `grpc://` or `grpcs://`",
        pattern=r"^((https?|grpcs?)://[^\s/].*)?$",
    )

    use_auto_rotation: bool = setting(
        True,
        "Turns pictures by 90, 180 or 270° where their faces are upright then. Warps and pictures with given boxes are "
        "never turned. Costs up to four detections where no face is certainly upright.",
        env="LUNA_AUTO_ROTATION",
    )

    @model_validator(mode="after")
    def _one_place(self) -> "Runtime":
        on_gpu = self.global_device_class != "cpu"
        if self.inference_url and on_gpu:
            raise ValueError(
                "LUNA_INFERENCE_URL and LUNA_DEVICE name two places for the networks, got "
                f"{self.inference_url!r} and {self.global_device_class!r}: set one of them"
            )
        if self.gpu_memory_bytes and not on_gpu:
            raise ValueError(
                f"LUNA_GPU_MEMORY_BYTES needs LUNA_DEVICE=cuda, got {self.gpu_memory_bytes} with the device "
                f"{self.global_device_class!r}"
            )
        return self


class FaceDetection(Section):
    """How faces are found."""

    min_face_size: int = setting(
        20, "Shorter side in pixels of the smallest face.", env="LUNA_FACE_MIN_SIZE_PX", ge=1, le=10_000
    )
    score_threshold: float | None = setting(
        None,
        "The score from which a detection is a face. Default: that of the network.",
        env="LUNA_FACE_SCORE_THRESHOLD",
        ge=0,
        le=1,
    )
    tiles: int = setting(
        24,
        "Tiles at most of the second look at a picture larger than 640 px in which the first look finds small faces or "
        "none; 0: no second look.",
        env="LUNA_FACE_TILES",
        ge=0,
        le=200,
    )


@group("LUNA_REMOTE_SDK_FACE_DETECTOR_SETTINGS", scope=Scope.ENGINE)
class FaceDetector(Settings):
    """Detection of faces."""

    estimator_settings: FaceDetection = FaceDetection()


class BodyDetection(Section):
    """How bodies are found."""

    score_threshold: float | None = setting(
        None,
        "The score from which a detection is a body. Default: that of the network.",
        env="LUNA_BODY_SCORE_THRESHOLD",
        ge=0,
        le=1,
    )


@group("LUNA_REMOTE_SDK_BODY_DETECTOR_SETTINGS", scope=Scope.ENGINE)
class BodyDetector(Settings):
    """Detection of bodies."""

    estimator_settings: BodyDetection = BodyDetection()


class LivenessThresholds(Section):
    """Thresholds of liveness."""

    real_threshold: float | None = setting(
        None,
        "The probability from which a face is real. Default: that of the network.",
        env="LUNA_LIVENESS_THRESHOLD",
        ge=0,
        le=1,
    )
    quality_threshold: float = setting(
        0.5,
        "The quality of a face below which liveness is unknown.",
        env="LUNA_LIVENESS_QUALITY_THRESHOLD",
        ge=0,
        le=1,
    )


@group("LUNA_REMOTE_SDK_LIVENESS_ESTIMATOR_SETTINGS", scope=Scope.LIVE)
class LivenessEstimator(Settings):
    """Liveness."""

    estimator_settings: LivenessThresholds = LivenessThresholds()


class DeepfakeThresholds(Section):
    """Thresholds of deepfake."""

    real_threshold: float = setting(
        0.5, "The score from which a face is real.", env="LUNA_DEEPFAKE_THRESHOLD", ge=0, le=1
    )


@group("LUNA_REMOTE_SDK_DEEPFAKE_ESTIMATOR_SETTINGS", scope=Scope.LIVE)
class DeepfakeEstimator(Settings):
    """Deepfake."""

    estimator_settings: DeepfakeThresholds = DeepfakeThresholds()


@group("LUNA_REMOTE_SDK_MISSING_NETWORKS", scope=Scope.LIVE)
class MissingNetworks(Settings):
    """What happens to estimations for which no network is installed, and to image checks that cannot be measured."""

    refuse_estimations: bool = setting(
        False,
        "Requests of such an estimation are refused with 200005. Else it is null, and the answer lists it in "
        "`unavailable_estimations`.",
        env="LUNA_REFUSE_UNAVAILABLE_ESTIMATIONS",
    )
    fail_iso_checks: bool = setting(
        False,
        "Checks of /6/iso that cannot be measured do not pass. Else they do not change its status. Either way the "
        "answer lists them in `unmeasured_checks`.",
        env="LUNA_FAIL_UNMEASURED_ISO_CHECKS",
    )


@group("LUNA_REMOTE_SDK_LIMITS", scope=Scope.LIVE)
class SdkLimits(Settings):
    """Limits of requests with pictures."""

    received_images_limit: int = setting(8, "Pictures of one request.", ge=1, le=1000)


class SwitchesBase(Settings):
    """Detectors and estimators, on or off."""

    all_by_default: bool = setting(
        True, "Those that are not named are on.", env="LUNA_ENABLE_ALL_ESTIMATORS_BY_DEFAULT"
    )

    def all(self) -> dict[str, bool]:
        """Whether each switch is on, by its name."""
        default = self.all_by_default
        given: dict[str, bool | None] = {name: getattr(self, _field(name)) for name in SWITCHES}
        return {name: default if on is None else on for name, on in given.items()}


def _field(switch: str) -> str:
    return switch.replace("-", "_")


_FIELDS: dict[str, Any] = {
    _field(name): (bool | None, setting(None, f"The {name.replace('-', ' ')}.", env=variable(name)))
    for name in SWITCHES
}
Switches = group("LUNA_REMOTE_SDK_ESTIMATORS", scope=Scope.ENGINE)(
    create_model("Switches", __base__=SwitchesBase, __doc__=SwitchesBase.__doc__, **_FIELDS)
)


Number = int | float  # an integer stays one in answers
Score = Annotated[Number, Field(ge=0, le=1), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
Angle = Annotated[Number, Field(ge=-180, le=180), WithJsonSchema({"type": "number", "minimum": -180, "maximum": 180})]
Size = Annotated[Number, Field(ge=0), WithJsonSchema({"type": "number", "minimum": 0})]
Headwear = Literal[
    "none", "baseball_cap", "beanie", "peaked_cap", "shawl", "hat_with_ear_flaps", "helmet", "hood", "hat", "other"
]


class Range(Settings):
    """A range of values, its ends included; an end that is missing or null is unbounded."""

    min: Number | None = None
    max: Number | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min exceeds max")
        return self


class ScoreRange(Range):
    """A range of scores from 0 to 1."""

    min: Score | None = None
    max: Score | None = None


class AngleRange(Range):
    """A range of angles in degrees."""

    min: Angle | None = None
    max: Angle | None = None


class SizeRange(Range):
    """A range of sizes of 0 or more."""

    min: Size | None = None
    max: Size | None = None


def _score(low: Number | None, high: Number | None, description: str) -> Any:
    return _range(ScoreRange(min=low, max=high), description, "of scores from 0 to 1")


def _angle(degrees: Number, description: str) -> Any:
    return _range(AngleRange(min=-degrees, max=degrees), description, "of angles from -180 to 180 degrees")


def _size(low: Number | None, high: Number | None, description: str) -> Any:
    return _range(SizeRange(min=low, max=high), description, "of numbers of 0 or more")


def _range(default: Range, description: str, values: str) -> Any:
    return setting(default, description, accepts=f'a JSON object with "min" and "max", {values}, min not above max')


def _words(description: str, *default: str) -> Any:
    return setting(default, description, min_length=1)


def _flag(passes: int, description: str) -> Any:
    return setting(passes, description, ge=0, le=1)


@group("FACE_QUALITY_SETTINGS", scope=Scope.LIVE)
class FaceQuality(Settings):
    """Thresholds of the image checks `face_quality`, where a request gives none. `/6/iso` keeps those of the standard.
    Lengths are in pixels; of the head relative to the picture.
    """

    image_format: tuple[
        Literal["JPEG", "JPEG2000", "PNG", "BMP", "TIFF", "PPM", "WEBP", "GIF", "HEIF", "AVIF"], ...
    ] = _words("Formats of the picture.", "JPEG", "JPEG2000", "PNG")
    illumination: ScoreRange = _score(0.3, 1, "Uniformity of illumination.")
    specularity: ScoreRange = _score(0.3, 1, "Absence of specular reflections.")
    blurriness: ScoreRange = _score(0.61, 1, "Sharpness.")
    dark: ScoreRange = _score(0.5, 1, "Absence of underexposure.")
    light: ScoreRange = _score(0.57, 1, "Absence of overexposure.")
    head_yaw: AngleRange = _angle(5, "Yaw of the head in degrees.")
    head_pitch: AngleRange = _angle(5, "Pitch of the head in degrees.")
    head_roll: AngleRange = _angle(8, "Roll of the head in degrees.")
    gaze_yaw: AngleRange = _angle(5, "Yaw of the gaze in degrees.")
    gaze_pitch: AngleRange = _angle(5, "Pitch of the gaze in degrees.")
    mouth_smiling: ScoreRange = _score(0, 0.5, "Probability of a smile.")
    mouth_occluded: ScoreRange = _score(0, 0.5, "Probability of an occluded mouth.")
    mouth_open: ScoreRange = _score(0, 0.5, "Probability of an open mouth.")
    glasses: tuple[Literal["no_glasses", "eyeglasses", "sunglasses"], ...] = _words(
        "Glasses.", "no_glasses", "eyeglasses"
    )
    eyes: tuple[Literal["open", "occluded", "closed"], ...] = _words("State of both eyes.", "open")
    head_horizontal_center: ScoreRange = _score(0.45, 0.55, "Horizontal centre of the head.")
    head_vertical_center: ScoreRange = _score(0.3, 0.5, "Vertical centre of the head.")
    head_width: SizeRange = _size(0.5, 0.75, "Width of the head.")
    head_height: SizeRange = _size(0.6, 0.9, "Height of the head.")
    eye_distance: SizeRange = _size(90, None, "Distance between the eyes.")
    image_width: SizeRange = _size(180, 1920, "Width of the picture.")
    image_height: SizeRange = _size(180, 1080, "Height of the picture.")
    aspect_ratio: SizeRange = _size(0.74, 0.8, "Width of the picture over its height.")
    face_width: SizeRange = _size(180, None, "Width of the face.")
    face_height: SizeRange = _size(180, None, "Height of the face.")
    indent_left: SizeRange = _size(20, None, "Distance of the face from the left edge.")
    indent_right: SizeRange = _size(20, None, "Distance of the face from the right edge.")
    indent_upper: SizeRange = _size(20, None, "Distance of the face from the upper edge.")
    indent_lower: SizeRange = _size(20, None, "Distance of the face from the lower edge.")
    image_size: SizeRange = _size(5120, 2_097_152, "Bytes of the picture.")
    illumination_uniformity: ScoreRange = _score(0.5, 1, "Uniformity of illumination by ICAO.")
    dynamic_range: ScoreRange = _score(0.5, 1, "Dynamic range.")
    eyebrows: tuple[Literal["neutral", "raised", "squinting", "frowning"], ...] = _words(
        "State of the eyebrows.", "neutral"
    )
    shoulders: tuple[Literal["parallel", "non-parallel", "hidden"], ...] = _words(
        "Position of the shoulders.", "parallel"
    )
    smile: tuple[Literal["none", "smile_lips", "smile_teeth"], ...] = _words("Kind of smile.", "none")
    headwear: tuple[Headwear, ...] = _words("Headwear.", "none")
    natural_light: int = _flag(1, "1: natural light passes; 0: its absence does.")
    fish_eye: int = _flag(0, "0: the absence of radial distortion passes; 1: its presence does.")
    red_eye: int = _flag(0, "0: the absence of red eyes passes; 1: their presence does.")
    color_type: tuple[Literal["color", "grayscale", "infrared"], ...] = _words("Colour type of the face.", "color")
    background_lightness: ScoreRange = _score(0.2, 1, "Lightness of the background.")
    background_uniformity: ScoreRange = _score(0.5, 1, "Uniformity of the background.")
