# 留痕 Liuhen. `make` alone shows what there is.
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help setup run test lint bench lock

help: ## 显示这份说明
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.setup ## 只安装：虚拟环境与带哈希的依赖，之后 .venv/bin/liuhen 可用

run: $(VENV)/.setup ## 安装、建库、推入样例数据并启动服务（PORT=、LIUHEN_DATA= 可改）
	@$(BIN)/liuhen demo --port $(PORT)

test: $(VENV)/.setup-dev ## 安装测试所需的一切，对真实的数据库服务跑全部测试
	$(BIN)/pytest

lint: $(VENV)/.setup-dev ## 代码检查：格式、规则、分层、类型
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

bench: $(VENV)/.setup-dev ## 性能：与同一次运行中的基线相比的倍数
	$(BIN)/python -m tests.bench

lock: $(VENV)/.setup-dev ## 由 pyproject.toml 重新生成带哈希的依赖清单
	$(PIP) install uv
	$(BIN)/uv pip compile pyproject.toml --extra build --extra dev $(LOCK) -o deploy/requirements-dev.txt
	$(BIN)/uv pip compile pyproject.toml --extra build $(LOCK) -c deploy/requirements-dev.txt -o deploy/requirements.txt

LOCK := --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "需要 Python 3.11 或更高版本：make PYTHON=python3.11 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.setup: deploy/requirements.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --require-hashes -r deploy/requirements.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.setup-dev: deploy/requirements-dev.txt $(VENV)/.setup
	$(PIP) install --require-hashes -r deploy/requirements-dev.txt
	@touch $@
