# Training on NVIDIA GPUs. The machine needs NVIDIA's driver and the NVIDIA Container Toolkit; CUDA is in the image.
#
#   docker build -t bbn .
#   docker run --rm --gpus all --shm-size=1g -v "$PWD/saved_models:/bbn/saved_models" -v "$HOME/tensorflow_datasets:/data" \
#     bbn --flagfile=flags/cifar10_lt.flags --flagfile=flags/bbn.flags --data_dir=/data
#
# NOT RUN: neither the image has been built nor has anything been trained in it. What was looked at: the
# extra `and-cuda` exists in TensorFlow 2.21 and `cuda12` in JAX 0.6 and 0.10.
FROM python:3.11-slim

WORKDIR /bbn
COPY requirements.txt requirements-gpu.txt ./
RUN pip install --no-cache-dir -r requirements.txt -r requirements-gpu.txt
COPY main.py ./
COPY bbn_tf bbn_tf
COPY flags flags

ENTRYPOINT ["python", "main.py"]
