"""Settings of recognition: device and engine, switches, thresholds, limits."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, create_model, field_validator, model_validator

from apps.common.config import Scope, Section, Settings, group, setting
from apps.recognition.switches import SWITCHES, variable


@group("LUNA_REMOTE_SDK_RUNTIME_SETTINGS", scope=Scope.ENGINE)
class Runtime(Settings):
    """The recognition engine."""

    global_device_class: str = setting(
        "cpu",
        "Device of the networks; `gpu` means cuda. The start fails if a CUDA device is not present.",
        env="LUNA_DEVICE",
        accepts="cpu, cuda or cuda:N",
        pattern=r"^(cpu|cuda(:[0-9]{1,3})?)$",
    )
    num_threads: int = setting(
        0,
        "Networks that run concurrently in one process; 0: the processors that affinity and CPU quota allow, divided "
        "by `LUNA_WORKERS`, or two with CUDA.",
        env="LUNA_ENGINE_THREADS",
        ge=0,
        le=1024,
    )
    run_threads: int = setting(
        2,
        "Threads of one run of a network on a CPU, at most the processors that affinity and CPU quota allow. More "
        "shorten requests on idle processors, and cost throughput on busy ones.",
        env="LUNA_ENGINE_RUN_THREADS",
        ge=1,
        le=64,
    )
    gpu_memory_bytes: int = setting(
        0, "Limit of the CUDA memory arena of each network; 0: none.", env="LUNA_GPU_MEMORY_BYTES", ge=0, le=2**40
    )
    inference_url: str = setting(
        "",
        "Open Inference Protocol v2 server that runs the networks instead of `LUNA_DEVICE`. Default: none.",
        env="LUNA_INFERENCE_URL",
        accepts="a URL that begins with `http://`, `https://`, `grpc://` or `grpcs://`",
        pattern=r"^((https?|grpcs?)://[^\s/].*)?$",
    )

    use_auto_rotation: bool = setting(
        True,
        "Rotates pictures by 90, 180 or 270° if that makes their faces upright. Warps and pictures with given boxes "
        "are never rotated. Runs up to four detections if no face is certainly upright.",
        env="LUNA_AUTO_ROTATION",
    )

    @field_validator("global_device_class", mode="before")
    @classmethod
    def _named_as_in_luna_platform(cls, value: object) -> object:
        return "cuda" if value == "gpu" else value

    @model_validator(mode="after")
    def _one_place(self) -> "Runtime":
        on_gpu = self.global_device_class != "cpu"
        if self.inference_url and on_gpu:
            raise ValueError(
                "LUNA_INFERENCE_URL and LUNA_DEVICE exclude each other, got "
                f"{self.inference_url!r} and {self.global_device_class!r}: set one of them"
            )
        if self.gpu_memory_bytes and not on_gpu:
            raise ValueError(
                f"LUNA_GPU_MEMORY_BYTES needs LUNA_DEVICE=cuda, got {self.gpu_memory_bytes} with the device "
                f"{self.global_device_class!r}"
            )
        return self


@group("LUNA_TASKS_RECOGNITION", scope=Scope.ENGINE)
class BackgroundRecognition(Settings):
    """Recognition in background tasks, which leaves processors and GPU to requests."""

    niceness: int = setting(
        19,
        "Niceness of the threads of recognition in workers; 0: that of requests. At 19, they get 1 to 2 % of a "
        "processor that requests use, and all of an idle one.",
        env="LUNA_TASKS_NICENESS",
        ge=0,
        le=19,
    )
    num_threads: int = setting(
        0,
        "Networks that run concurrently in a worker; 0: the processors that affinity and CPU quota allow, or one with "
        "CUDA, so that a request waits for one batch of a task at most.",
        env="LUNA_TASKS_ENGINE_THREADS",
        ge=0,
        le=1024,
    )


class FaceDetection(Section):
    """Parameters of face detection."""

    min_face_size: int = setting(
        20, "Minimum shorter side of a face in pixels.", env="LUNA_FACE_MIN_SIZE_PX", ge=1, le=10_000
    )
    score_threshold: float | None = setting(
        None,
        "Minimum score of a face. Default: the network's own.",
        env="LUNA_FACE_SCORE_THRESHOLD",
        ge=0,
        le=1,
    )
    tiles: int = setting(
        24,
        "Maximum number of tiles of the second detection, for a picture above 640 px in which the first detection "
        "finds small faces or none; 0: no second detection.",
        env="LUNA_FACE_TILES",
        ge=0,
        le=200,
    )


@group("LUNA_REMOTE_SDK_FACE_DETECTOR_SETTINGS", scope=Scope.ENGINE)
class FaceDetector(Settings):
    """Detection of faces."""

    estimator_settings: FaceDetection = FaceDetection()


class BodyDetection(Section):
    """Parameters of body detection."""

    score_threshold: float | None = setting(
        None,
        "Minimum score of a body. Default: the network's own.",
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
        "Minimum probability of a real face. Default: the network's own.",
        env="LUNA_LIVENESS_THRESHOLD",
        ge=0,
        le=1,
    )
    quality_threshold: float = setting(
        0.5,
        "Minimum quality of a face; below it liveness is unknown.",
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

    real_threshold: float = setting(0.5, "Minimum score of a real face.", env="LUNA_DEEPFAKE_THRESHOLD", ge=0, le=1)


@group("LUNA_REMOTE_SDK_DEEPFAKE_ESTIMATOR_SETTINGS", scope=Scope.LIVE)
class DeepfakeEstimator(Settings):
    """Deepfake."""

    estimator_settings: DeepfakeThresholds = DeepfakeThresholds()


@group("LUNA_REMOTE_SDK_MISSING_NETWORKS", scope=Scope.LIVE)
class MissingNetworks(Settings):
    """Treatment of estimations without an installed network, and of image checks that cannot be measured."""

    refuse_estimations: bool = setting(
        False,
        "Rejects a request of such an estimation with 200005. Otherwise its value is null, and the response lists it "
        "in `unavailable_estimations`.",
        env="LUNA_REFUSE_UNAVAILABLE_ESTIMATIONS",
    )
    fail_iso_checks: bool = setting(
        False,
        "Fails the checks of /6/iso that cannot be measured. Otherwise they do not change its status. In both cases "
        "the response lists them in `unmeasured_checks`.",
        env="LUNA_FAIL_UNMEASURED_ISO_CHECKS",
    )


@group("LUNA_REMOTE_SDK_LIMITS", scope=Scope.LIVE)
class SdkLimits(Settings):
    """Limits of requests with pictures."""

    received_images_limit: int = setting(8, "Maximum number of pictures in one request.", ge=1, le=1000)


@group("FETCH_EXTERNAL_IMAGE_TIMEOUTS", scope=Scope.LIVE)
class ImageDownloads(Settings):
    """Time limits, in seconds, of downloads of images whose URLs are in requests."""

    connect: int = setting(
        10, "Time until a connection is open. The lower value of it and `sock_connect` applies.", ge=1, le=600
    )
    request: int = setting(10, "Time of the whole download, redirects included.", ge=1, le=600)
    sock_connect: int = setting(10, "Time until the socket is connected.", ge=1, le=600)
    sock_request: int = setting(10, "Time without data.", ge=1, le=600)


class SwitchesBase(Settings):
    """Switches of detectors and estimators."""

    all_by_default: bool = setting(
        True, "State of switches without a value of their own.", env="LUNA_ENABLE_ALL_ESTIMATORS_BY_DEFAULT"
    )

    def all(self) -> dict[str, bool]:
        """Return whether each switch is on, by name."""
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


Number = int | float  # responses show integers without a decimal point
Score = Annotated[Number, Field(ge=0, le=1), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
Angle = Annotated[Number, Field(ge=-180, le=180), WithJsonSchema({"type": "number", "minimum": -180, "maximum": 180})]
Size = Annotated[Number, Field(ge=0), WithJsonSchema({"type": "number", "minimum": 0})]
Headwear = Literal[
    "none", "baseball_cap", "beanie", "peaked_cap", "shawl", "hat_with_ear_flaps", "helmet", "hood", "hat", "other"
]


class Range(Settings):
    """Inclusive range of values; a missing or null bound is unbounded."""

    min: Number | None = None
    max: Number | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min must be at most max, got {self.min} and {self.max}")
        return self


class ScoreRange(Range):
    """Range of scores from 0 to 1."""

    min: Score | None = None
    max: Score | None = None


class AngleRange(Range):
    """Range of angles in degrees."""

    min: Angle | None = None
    max: Angle | None = None


class SizeRange(Range):
    """Range of sizes of 0 or more."""

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


def _minimum(description: str) -> Any:
    return setting(0.5, description, ge=0, le=1)


@group("FACE_QUALITY_SETTINGS", scope=Scope.LIVE)
class FaceQuality(Settings):
    """Default thresholds of the image checks `face_quality`; a request can override them.

    `/6/iso` always uses the thresholds of the standard, and also the scores `…_min`, which decide whether a property is
    present. Lengths are in pixels; those of the head are relative to the
    picture.
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
    aspect_ratio: SizeRange = _size(0.74, 0.8, "Width of the picture divided by its height.")
    face_width: SizeRange = _size(180, None, "Width of the face.")
    face_height: SizeRange = _size(180, None, "Height of the face.")
    indent_left: SizeRange = _size(20, None, "Distance of the face from the left edge.")
    indent_right: SizeRange = _size(20, None, "Distance of the face from the right edge.")
    indent_upper: SizeRange = _size(20, None, "Distance of the face from the upper edge.")
    indent_lower: SizeRange = _size(20, None, "Distance of the face from the lower edge.")
    image_size: SizeRange = _size(5120, 2_097_152, "Size of the picture in bytes.")
    illumination_uniformity: ScoreRange = _score(0.5, 1, "Uniformity of illumination, by ICAO's definition.")
    dynamic_range: ScoreRange = _score(0.5, 1, "Dynamic range.")
    eyebrows: tuple[Literal["neutral", "raised", "squinting", "frowning"], ...] = _words(
        "State of the eyebrows.", "neutral"
    )
    shoulders: tuple[Literal["parallel", "non-parallel", "hidden"], ...] = _words(
        "Position of the shoulders.", "parallel"
    )
    smile: tuple[Literal["none", "smile_lips", "smile_teeth"], ...] = _words("Kind of smile.", "none")
    headwear: tuple[Headwear, ...] = _words("Headwear.", "none")
    natural_light: int = _flag(1, "1: natural light passes; 0: absence of natural light passes.")
    fish_eye: int = _flag(0, "0: absence of radial distortion passes; 1: presence passes.")
    red_eye: int = _flag(0, "0: absence of red eyes passes; 1: presence passes.")
    color_type: tuple[Literal["color", "grayscale", "infrared"], ...] = _words("Colour type of the face.", "color")
    natural_light_min: float = _minimum("Score of natural light from which the light counts as natural.")
    fish_eye_min: float = _minimum("Score of radial distortion from which a picture counts as distorted.")
    red_eye_min: float = _minimum("Score of red eyes from which eyes count as red.")
    color_type_min: float = _minimum("Score of colour from which a face counts as in colour, else as greyscale.")
    background_lightness: ScoreRange = _score(0.2, 1, "Lightness of the background.")
    background_uniformity: ScoreRange = _score(0.5, 1, "Uniformity of the background.")
