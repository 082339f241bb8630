"""Settings of recognition: device and engine, switches, thresholds, limits."""

from typing import Any

from pydantic import create_model, model_validator

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
        False,
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
