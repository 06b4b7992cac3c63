# custseg: customer segmentation and win-back for PostgreSQL 15-19

EXTENSION = custseg
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" custseg.control)
MODULE_big = custseg

# The rooms, in the order of the way of the data. A room whose SQL is long has a folder, and SQL_room is its order.
ROOMS = common timeline source person track profile facts model segment playbook recall queue measure report refresh worker

OBJS = $(patsubst %.c,%.o,src/custseg.c $(foreach room,$(ROOMS),$(sort $(wildcard src/$(room)/*.c src/$(room)/*/*.c))))
SQL_model = fit purchase spend calibration prediction
SQLPARTS = $(wildcard $(foreach room,$(ROOMS),sql/$(room).sql $(SQL_$(room):%=sql/$(room)/%.sql)))
BUILT_SQL = sql/$(EXTENSION)--$(EXTVERSION).sql

DATA = $(filter-out $(BUILT_SQL),$(wildcard sql/$(EXTENSION)--*.sql))
DATA_built = $(BUILT_SQL)
EXTRA_CLEAN = $(BUILT_SQL) $(DIST).zip

PG_CPPFLAGS = -I$(srcdir)/src
# Fits and sums must come out the same on every build of one machine type.
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -ffp-contract=off
SHLIB_LINK = -lm

# Expected output lies beside the input: every version looks there, too.
TESTS = $(sort $(wildcard test/sql/*.sql))
REGRESS = $(patsubst test/sql/%.sql,%,$(TESTS))
REGRESS_OPTS = --inputdir=test --load-extension=custseg
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=custseg
ifneq ($(wildcard test/t/*.pl),)
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl
endif

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PostgreSQL hides what is not exported itself, from 16 on.
ifeq ($(PORTNAME), linux)
SHLIB_LINK += -Wl,--version-script=$(srcdir)/src/custseg.map
$(shlib): src/custseg.map
endif

# -Wextra asks for things PostgreSQL's own headers do not keep to; what it asks of our files we keep.
HEADERS_ALL = $(wildcard src/*/*.h src/*/*/*.h)
$(OBJS): $(HEADERS_ALL) Makefile

$(BUILT_SQL): $(SQLPARTS) custseg.control Makefile
	@echo "joining $(SQLPARTS)"
	@{ printf '%s\n' '\echo Use "CREATE EXTENSION custseg" to load this file. \quit'; \
	   for f in $(SQLPARTS); do echo; cat $$f; done; } > $@

# The C files laid out as PostgreSQL lays out its own; see CONTRIBUTING.md.
PG_BSD_INDENT ?= $(firstword $(wildcard $(bindir)/pg_bsd_indent) $(shell command -v pg_bsd_indent) \
	$(wildcard /usr/lib/postgresql/*/bin/pg_bsd_indent))
INDENTED = $(wildcard src/*.c src/*/*.[ch] src/*/*/*.[ch])

indent:
	@test/indent "$(PG_BSD_INDENT)" $(INDENTED)

typedefs: $(OBJS)
	@test/indent --typedefs $(OBJS) $(INDENTED)

# The archive of a release: what is committed, and the script that is built of it (META.json names it).
DIST = $(EXTENSION)-$(EXTVERSION)
DISTDIR = .

dist: $(BUILT_SQL)
	@git diff --quiet HEAD || { echo "make dist packs what is committed, and there are changes that are not" >&2; exit 1; }
	git archive --format=zip -o $(DISTDIR)/$(DIST).zip --prefix=$(DIST)/sql/ --add-file=$(BUILT_SQL) --prefix=$(DIST)/ HEAD

.PHONY: indent typedefs dist
