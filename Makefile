# mcore: build, demo, tests. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN := .build/release

.PHONY: help
help: ## this list
	@echo 'mcore saves and explains the memory of crashed Linux kernels. Start with: make demo'
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: build
build: ## both programs, in .build/release/
	@scripts/deps.sh build
	swift build -c release --static-swift-stdlib $$(scripts/codecs.sh --flags) --product mcore
	@# What fits below its limit, ISA-L first: docs/performance.md, "Size of mcore-capture".
	@# Its own scratch path, since other options would make both programs anew each time.
	swift build -c release --static-swift-stdlib $$(scripts/codecs.sh --flags Zstd,SHA256 Libdeflate,Zstd,SHA256) -Xswiftc -Osize \
	  -Xswiftc -Xfrontend -Xswiftc -disable-reflection-metadata -Xswiftc -Xfrontend -Xswiftc -function-sections \
	  -Xswiftc -Xfrontend -Xswiftc -internalize-at-link -Xswiftc -Xllvm -Xswiftc -enable-machine-outliner=always --scratch-path .build/capture --product mcore-capture
	@cp .build/capture/release/mcore-capture $(BIN)/mcore-capture
	@scripts/check-size.sh $(BIN)/mcore-capture

ARM64 := .build/arm64-release

.PHONY: build-arm64
build-arm64: ## both programs for arm64, static, in .build/arm64-release/ (Debian's arm64 packages are fetched once)
	@scripts/deps.sh build
	swift build -c release --static-swift-stdlib $$(scripts/arm64-sdk.sh --flags) --traits Libdeflate,Zstd,SHA256,Kdump,LZO,Streams,FUSE \
	  --scratch-path .build/arm64-mcore --product mcore
	swift build -c release --static-swift-stdlib $$(scripts/arm64-sdk.sh --flags) --traits Libdeflate,Zstd,SHA256 -Xswiftc -Osize \
	  -Xswiftc -Xfrontend -Xswiftc -disable-reflection-metadata --scratch-path .build/arm64 --product mcore-capture
	@mkdir -p $(ARM64)
	@cp .build/arm64-mcore/aarch64-unknown-linux-gnu/release/mcore .build/arm64/aarch64-unknown-linux-gnu/release/mcore-capture $(ARM64)
	@scripts/check-size.sh $(ARM64)/mcore-capture

.PHONY: install
install: build ## programs, man pages, completions, crash-base.img, units of systemd (PREFIX, default /usr/local; DESTDIR)
	@scripts/install.sh $(BIN)

.PHONY: deb
deb: build ## the package for Debian 12 and later, in .build/
	@scripts/deps.sh test
	@scripts/deb.sh $(BIN) .build

.PHONY: deb-arm64
deb-arm64: build-arm64 ## the package for Debian 12 and later on arm64, in .build/
	@scripts/deps.sh --arm64
	@scripts/deb.sh $(ARM64) .build

.PHONY: dist
dist: build ## a tarball with the programs and an installer, for other systems, in .build/
	@scripts/deps.sh test
	@scripts/dist.sh $(BIN) .build

.PHONY: demo
demo: build ## a real kernel crashes in QEMU and its dump is saved: the main job, in a few minutes
	@scripts/deps.sh test
	@echo 'A kernel crashes in QEMU now, and mcore saves it: one to three minutes.'
	@cd Tests/Kernels && python3 -m guest demo --mcore ../../$(BIN)/mcore --capture ../../$(BIN)/mcore-capture

.PHONY: test
test: ## what CI runs: lint, unit tests, real dumps of two kernels, guests in QEMU
	@scripts/deps.sh all
	@scripts/test.sh

.PHONY: test-soft-boot
test-soft-boot: build ## the soft boot in QEMU, alone (MCORE_TEST_SOFT_BOOT="6.1 6.12 7.x": which kernels)
	@scripts/deps.sh test
	@PYTHONPATH=Tests/Kernels PYTHONDONTWRITEBYTECODE=1 python3 -m unittest -v real.test_soft_boot real.test_soft_boot_ways \
	  real.test_soft_boot_debian

.PHONY: test-full
test-full: ## all of it on all five kernels, with their debug symbols; an hour or more
	@scripts/deps.sh all
	@scripts/test.sh --full

.PHONY: test-mutations
test-mutations: build ## 26,000 damaged dumps, classified and judged; half an hour
	@scripts/deps.sh test
	swift build -c release $$(scripts/codecs.sh --flags) --product mcore-mutations
	@scripts/mutations.sh .build/release/mcore-mutations

.PHONY: bench
bench: build ## mcore beside makedumpfile on one real dump of 4 GiB; half an hour
	@scripts/deps.sh test
	swift build -c release --static-swift-stdlib $$(scripts/codecs.sh --flags) --product mcore-bench
	@cd Tests/Kernels && python3 -m bench

.PHONY: bench-service
bench-service: build ## from the panic to the reset, beside Debian's kdump-tools; a quarter of an hour, as root
	@scripts/deps.sh test
	@cd Tests/Kernels && python3 -m bench.service

.PHONY: bench-soft-boot
bench-soft-boot: build ## from the panic to the login of the next boot, beside the direct way; half an hour, as root
	@scripts/deps.sh test
	@cd Tests/Kernels && python3 -m bench.soft_boot

.PHONY: lint
lint: ## format and style, of Swift, Python and shell
	@scripts/deps.sh lint
	@scripts/lint.sh

.PHONY: format
format: ## rewrites the sources in the project's format
	@scripts/deps.sh lint
	swift format format --in-place --recursive --parallel Sources Tests Package.swift
	/usr/bin/black --quiet Tests/Kernels initramfs scripts

.PHONY: clean
clean: ## removes what was built; the cache of kernels and dumps stays
	rm -rf .build .build-*
