"""Packaging: dependencies as ranges here, the exact tested set in constraints.txt, which make uses."""

from setuptools import find_namespace_packages, find_packages, setup

setup(
    version="0.1.0",
    description="Neural architecture search for lightweight person re-identification backbones",
    python_requires=">=3.11,<3.13",
    # Named spaces, archs and recipes and the zoo's weights lie beside the packages, in a checkout and installed alike.
    packages=[
        *find_packages(include=["reid*", "supernet*", "search*", "evaluation*"]),
        *find_namespace_packages(
            include=["configs", "configs.*", "weights", "tools", "tools.*", "evaluation.vectors.cases"]
        ),
    ],
    package_data={"": ["*.yaml", "*.json", "*.safetensors"]},
    install_requires=[
        "torch>=2.11",
        "torchvision>=0.26",  # fits one torch build only: always install the two together
        "numpy>=1.26",
        "pyyaml>=6.0",
        "pydantic>=2.7",
        "pillow>=10",
        "safetensors>=0.4.3",
        "tqdm>=4.66",
        "tensorboard>=2.16",
        "matplotlib>=3.8",
        "scipy>=1.11",  # sparse matrices of the re-ranking
        "nni==3.0",
        "filelock<3.12",  # nni 3.0 hangs with newer ones
        "fvcore==0.1.5.post20221221",
    ],
    extras_require={
        # What the tests compare with, and what some of them need: without one of these, its tests skip.
        "dev": [
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "ruff>=0.6",
            "scikit-learn>=1.4",
            "pytorch-metric-learning>=2.9",
            "timm>=1.0",
            "h5py>=3.10",
            "onnx>=1.16",
            "onnxruntime>=1.18",
        ],
        "backbones": ["timm>=1.0"],  # MobileNetV3, EfficientNetV2 and timm:NAME
        "cuhk03": ["h5py>=3.10"],  # its archive is HDF5
        "export": ["onnx>=1.16", "onnxruntime>=1.18"],
        "pictures": ["scikit-learn>=1.4"],  # t-SNE
    },
)
