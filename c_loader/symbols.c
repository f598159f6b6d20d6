// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbol_table.h"

#define DEBUG_FOLDER "/usr/lib/debug/.build-id"
/* A process may write what it likes into its perf map. */
#define PERF_MAP_BYTES (64u << 20)
#define BUILD_ID_BYTES 64

/* A piece of a file that is loaded to be executed. */
struct code {
	uint64_t offset, size, address;
};

/* A file with code that processes have mapped; device and inode 0: the vDSO. */
struct module {
	unsigned int major, minor;
	uint64_t inode;
	int fd;
	bool loaded;
	struct code *code;
	size_t n_code;
	struct symbol_table table;
};

/* Executable memory of a process. */
struct mapping {
	uint64_t start, end, offset;
	struct module *module;
};

/*
 * When a process began, how much it has mapped and where its code begins: another one for another
 * program or when more was mapped.
 */
struct identity {
	unsigned long long began, mapped, code;
};

/* What a process had mapped when it was last looked at. */
struct process {
	uint32_t pid;
	struct identity identity;
	struct mapping *mappings;
	size_t n, room;
	int perf_fd;
	bool perf_read;
	struct symbol_table compiled;
};

struct symbols {
	void *processes, *modules; /* trees of tsearch() */
	struct symbol_table kernel;
	bool kernel_read;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* -- the kernel -------------------------------------------------------------------------------- */

/* "ffffffff81000000 T _stext", perhaps with a module after it. */
static void read_kallsyms(struct symbol_table *t)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	char *line = NULL, *end, *name;
	uint64_t address;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		address = strtoull(line, &end, 16);
		if (!address || *end != ' ' || !end[1] || !strchr("tTwW", end[1]) || end[2] != ' ')
			continue;
		name = end + 3;
		symbol_table__add(t, address, UINT64_MAX, name, strcspn(name, " \t\n"));
	}
	free(line);
	if (file)
		fclose(file);
	symbol_table__sort(t, false);
}

const char *symbols__kernel(struct symbols *s, uint64_t address)
{
	if (!s->kernel_read)
		read_kallsyms(&s->kernel);
	s->kernel_read = true;
	return symbol_table__find(&s->kernel, address);
}

/* -- ELF files --------------------------------------------------------------------------------- */

static void add_functions(struct symbol_table *t, Elf *elf)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	const char *name;
	Elf_Data *data;
	GElf_Sym sym;
	int i, type;

	while ((section = elf_nextscn(elf, section))) {
		if (!gelf_getshdr(section, &header) ||
		    (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM))
			continue;
		data = elf_getdata(section, NULL);
		for (i = 0; data && gelf_getsym(data, i, &sym); i++) {
			type = GELF_ST_TYPE(sym.st_info);
			if ((type != STT_FUNC && type != STT_GNU_IFUNC) ||
			    sym.st_shndx == SHN_UNDEF || !sym.st_size)
				continue;
			name = elf_strptr(elf, header.sh_link, sym.st_name);
			if (name)
				symbol_table__add(t, sym.st_value, sym.st_size, name, strlen(name));
		}
	}
}

static void find_code(struct module *m, Elf *elf)
{
	GElf_Phdr header;
	size_t i, n;

	if (elf_getphdrnum(elf, &n))
		return;
	m->code = calloc(n + 1, sizeof(*m->code));
	for (i = 0; m->code && i < n; i++) {
		if (gelf_getphdr(elf, (int)i, &header) && header.p_type == PT_LOAD &&
		    (header.p_flags & PF_X))
			m->code[m->n_code++] =
				(struct code){ header.p_offset, header.p_filesz, header.p_vaddr };
	}
}

/* The name of the file that a distribution's debug package has, by the build id. */
static bool debug_path(Elf *elf, char *path, size_t size)
{
	size_t i, j, n, place, name, text;
	GElf_Phdr header;
	GElf_Nhdr note;
	Elf_Data *data;
	const unsigned char *id;
	int len;

	if (elf_getphdrnum(elf, &n))
		return false;
	for (i = 0; i < n; i++) {
		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_NOTE)
			continue;
		data = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz,
					    ELF_T_NHDR);
		for (place = 0; data && (place = gelf_getnote(data, place, &note, &name, &text));) {
			if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != sizeof("GNU") ||
			    memcmp((char *)data->d_buf + name, "GNU", sizeof("GNU")) ||
			    note.n_descsz < 2 || note.n_descsz > BUILD_ID_BYTES)
				continue;
			id = (unsigned char *)data->d_buf + text;
			len = snprintf(path, size, DEBUG_FOLDER "/%02x/", id[0]);
			for (j = 1; j < note.n_descsz; j++)
				len += snprintf(path + len, size - (size_t)len, "%02x", id[j]);
			snprintf(path + len, size - (size_t)len, ".debug");
			return true;
		}
	}
	return false;
}

static void add_debug_functions(struct symbol_table *t, Elf *elf)
{
	char path[sizeof(DEBUG_FOLDER) + 2 * BUILD_ID_BYTES + 16];
	Elf *debug;
	int fd;

	if (!debug_path(elf, path, sizeof(path)))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	debug = fd >= 0 ? elf_begin(fd, ELF_C_READ, NULL) : NULL;
	if (debug)
		add_functions(t, debug);
	elf_end(debug);
	close_fd(&fd);
}

/* The vDSO is one for all processes, and so in this one too. */
static Elf *open_vdso(void)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);

	if (!header)
		return NULL;
	return elf_memory((char *)header,
			  header->e_shoff + (size_t)header->e_shnum * header->e_shentsize);
}

/* Read, not mapped: whoever owns the file may make it shorter at any time. */
static void module__load(struct module *m)
{
	Elf *elf = NULL;

	m->loaded = true;
	if (elf_version(EV_CURRENT) != EV_NONE)
		elf = m->inode ? elf_begin(m->fd, ELF_C_READ, NULL) : open_vdso();
	if (elf) {
		find_code(m, elf);
		add_functions(&m->table, elf);
		add_debug_functions(&m->table, elf);
		symbol_table__sort(&m->table, false);
	}
	elf_end(elf);
	close_fd(&m->fd);
}

/* The function at an offset in the file. */
static const char *module__find(struct module *m, uint64_t offset)
{
	size_t i;

	if (!m->loaded)
		module__load(m);
	for (i = 0; i < m->n_code; i++) {
		if (offset >= m->code[i].offset && offset - m->code[i].offset < m->code[i].size)
			return symbol_table__find(&m->table,
						  offset - m->code[i].offset + m->code[i].address);
	}
	return NULL;
}

static void module__free(void *node)
{
	struct module *m = node;

	close_fd(&m->fd);
	free(m->code);
	symbol_table__free(&m->table);
	free(m);
}

static int compare_modules(const void *a, const void *b)
{
	const struct module *x = a, *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	if (x->major != y->major)
		return x->major < y->major ? -1 : 1;
	return x->minor < y->minor ? -1 : x->minor > y->minor;
}

/* -- processes --------------------------------------------------------------------------------- */

/* A line of /proc/PID/maps. */
struct maps_line {
	uint64_t start, end, offset, inode;
	unsigned int major, minor;
	char access[8];
	const char *path;
};

static bool parse_maps_line(char *line, struct maps_line *m)
{
	int place = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64 " %n", &m->start,
		   &m->end, m->access, &m->offset, &m->major, &m->minor, &m->inode, &place) < 7)
		return false;
	m->path = line + place;
	return true;
}

/*
 * The very file that is mapped, wherever it is and whether it still has a name; without
 * CAP_SYS_ADMIN the one that has its name now.
 */
static int open_mapped(uint32_t pid, const struct maps_line *line)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
	char *path;
	int fd;

	if (asprintf(&path, "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, pid, line->start,
		     line->end) < 0)
		return -1;
	fd = open(path, flags);
	free(path);
	if (fd >= 0 || errno != EPERM)
		return fd;
	if (asprintf(&path, "/proc/%u/root%s", pid, line->path) < 0)
		return -1;
	fd = open(path, flags);
	free(path);
	return fd;
}

/* The module of a line, NULL for memory that has none. */
static struct module *find_module(struct symbols *s, uint32_t pid, const struct maps_line *line)
{
	struct module key = { .fd = -1 }, *m;
	void *node;

	if (line->inode) {
		key.major = line->major;
		key.minor = line->minor;
		key.inode = line->inode;
	} else if (strcmp(line->path, "[vdso]") || line->start <= UINT32_MAX) {
		return NULL;
	}
	node = tfind(&key, &s->modules, compare_modules);
	if (node)
		return *(struct module **)node;
	if (line->inode) {
		key.fd = open_mapped(pid, line);
		if (key.fd < 0)
			return NULL; /* it has ended, or may not be looked at */
	}
	m = malloc(sizeof(*m));
	if (m)
		*m = key;
	if (!m || !tsearch(m, &s->modules, compare_modules)) {
		close_fd(&key.fd);
		free(m);
		return NULL;
	}
	return m;
}

static bool process__add(struct process *p, const struct mapping *mapping)
{
	struct mapping *list;

	if (p->n == p->room) {
		p->room = p->room ? p->room * 2 : 16;
		list = reallocarray(p->mappings, p->room, sizeof(*list));
		if (!list) {
			p->room = p->n;
			return false;
		}
		p->mappings = list;
	}
	p->mappings[p->n++] = *mapping;
	return true;
}

/* Mappings come in the order of their addresses. */
static void read_mappings(struct symbols *s, uint32_t pid, struct process *p)
{
	struct mapping mapping;
	struct maps_line m;
	char path[32], *line = NULL;
	size_t room = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	file = fopen(path, "re");
	while (file && getline(&line, &room, file) > 0) {
		if (!parse_maps_line(line, &m) || !strchr(m.access, 'x'))
			continue;
		mapping = (struct mapping){ m.start, m.end, m.offset, find_module(s, pid, &m) };
		if (mapping.module && !process__add(p, &mapping))
			break;
	}
	free(line);
	if (file)
		fclose(file);
}

static void process__forget(struct process *p)
{
	free(p->mappings);
	close_fd(&p->perf_fd);
	symbol_table__free(&p->compiled);
	*p = (struct process){ .pid = p->pid, .perf_fd = -1 };
}

static void process__free(void *node)
{
	process__forget(node);
	free(node);
}

static int compare_processes(const void *a, const void *b)
{
	uint32_t x = ((const struct process *)a)->pid, y = ((const struct process *)b)->pid;

	return (x > y) - (x < y);
}

/* false if it has no memory (of its own). */
static bool identify(uint32_t pid, struct identity *identity)
{
	char path[32], text[1024], *words;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	close_fd(&fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* The name before it may hold anything. */
	words = strrchr(text, ')');
	return words &&
	       sscanf(words,
		      ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		      "%*s %llu %llu %*s %*s %llu",
		      &identity->began, &identity->mapped, &identity->code) == 3 &&
	       identity->code;
}

/* Its PID where it was born, and its user. */
static bool inner_pid(uint32_t pid, uint32_t *inner, uid_t *owner)
{
	char path[32], *line = NULL, *last;
	struct stat info;
	size_t room = 0;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	if (stat(path, &info))
		return false;
	*owner = info.st_uid;
	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	file = fopen(path, "re");
	while (file && !found && getline(&line, &room, file) > 0) {
		if (strncmp(line, "NSpid:", 6))
			continue;
		last = strrchr(line, '\t');
		*inner = last ? (uint32_t)strtoul(last + 1, NULL, 10) : pid;
		found = true;
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

static int open_regular(const char *path, uid_t owner)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat info;

	if (fd >= 0 &&
	    (fstat(fd, &info) || !S_ISREG(info.st_mode) || (info.st_uid && info.st_uid != owner)))
		close_fd(&fd);
	return fd;
}

/* The perf map of a process: where the process sees it, else where we do. */
static int open_perf_map(uint32_t pid)
{
	uint32_t inner;
	char path[64];
	uid_t owner;
	int fd;

	if (!inner_pid(pid, &inner, &owner))
		return -1;
	snprintf(path, sizeof(path), "/proc/%u/root/tmp/perf-%u.map", pid, inner);
	fd = open_regular(path, owner);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", pid);
	return open_regular(path, owner);
}

/* A hexadecimal number, perhaps with 0x before it, and a blank after it. */
static bool take_hex(const char **p, uint64_t *value)
{
	const char *digits = *p;
	char *end;

	if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
		digits += 2;
	if (strspn(digits, "0123456789abcdefABCDEF") - 1 >= 16)
		return false;
	*value = strtoull(digits, &end, 16);
	*p = end + 1;
	return *end == ' ';
}

/* What a run-time compiler has written: START SIZE NAME in each line. */
static void read_perf_map(struct process *p)
{
	uint64_t start, size;
	struct buf text = { 0 };
	const char *at, *end;
	char *line;
	ssize_t n = 1;

	while (p->perf_fd >= 0 && n > 0 && text.len < PERF_MAP_BYTES &&
	       buf__reserve(&text, 65536)) {
		n = pread(p->perf_fd, text.data + text.len, 65536, (off_t)text.len);
		text.len += n > 0 ? (size_t)n : 0;
	}
	if (text.len > PERF_MAP_BYTES)
		text.len = PERF_MAP_BYTES;
	buf__putc(&text, '\0');
	for (line = text.data; line && line < text.data + text.len - 1; line += strlen(line) + 1) {
		end = strchrnul(line, '\n');
		text.data[end - text.data] = '\0';
		at = line;
		if (take_hex(&at, &start) && take_hex(&at, &size))
			symbol_table__add(&p->compiled, start, size, at, strlen(at));
	}
	buf__free(&text);
	symbol_table__sort(&p->compiled, true);
}

static const char *process__find(struct process *p, uint64_t address)
{
	size_t low = 0, high = p->n, mid;
	const char *name = NULL;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (p->mappings[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	if (low && address < p->mappings[low - 1].end) {
		const struct mapping *m = &p->mappings[low - 1];

		name = module__find(m->module, address - m->start + m->offset);
	}
	if (name)
		return name;
	if (!p->perf_read)
		read_perf_map(p);
	p->perf_read = true;
	return symbol_table__find(&p->compiled, address);
}

const char *symbols__user(struct symbols *s, uint32_t pid, uint64_t address)
{
	struct process key = { .pid = pid };
	struct process **node = tfind(&key, &s->processes, compare_processes);

	return node ? process__find(*node, address) : NULL;
}

static struct process *find_process(struct symbols *s, uint32_t pid)
{
	struct process key = { .pid = pid }, *p;
	struct process **node = tfind(&key, &s->processes, compare_processes);

	if (node)
		return *node;
	p = malloc(sizeof(*p));
	if (!p)
		return NULL;
	*p = (struct process){ .pid = pid, .perf_fd = -1 };
	if (!tsearch(p, &s->processes, compare_processes)) {
		free(p);
		return NULL;
	}
	return p;
}

void symbols__remember(struct symbols *s, uint32_t pid, bool again)
{
	struct process *p, fresh = { .pid = pid, .perf_fd = -1 };
	struct identity identity = { 0 };

	if (!identify(pid, &identity))
		return;
	p = find_process(s, pid);
	if (!p)
		return;
	if (again || memcmp(&p->identity, &identity, sizeof(identity))) {
		read_mappings(s, pid, &fresh);
		if (fresh.n) { /* else it is ending */
			process__forget(p);
			*p = fresh;
			p->identity = identity;
		}
	}
	if (p->n && p->perf_fd < 0)
		p->perf_fd = open_perf_map(pid);
}

struct symbols *symbols__new(void)
{
	struct symbols *s = calloc(1, sizeof(*s));
	struct rlimit files;

	/* Every file that is mapped anywhere is kept open until it is read, or the end. */
	if (s && !getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return s;
}

void symbols__free(struct symbols *s)
{
	if (!s)
		return;
	tdestroy(s->processes, process__free);
	tdestroy(s->modules, module__free);
	symbol_table__free(&s->kernel);
	free(s);
}
