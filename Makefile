.PHONY: build test check fmt bench size

build:
	dotnet build Materialize.sln -c Release --nologo -v quiet

test:
	./test.sh

check: build
	dotnet format Materialize.sln --verify-no-changes
	./test.sh

fmt:
	dotnet format Materialize.sln

bench:
	dotnet run -c Release --project benchmarks/Micro -- workloads main

size:
	@git ls-files '*.cs' | xargs wc -l | sort -rn | sed -n '2,21p'
