// Elastic-plastic contacts with adhesion and friction, between spheres and with planes, as a fix.
//
// The law is that of femssb.particles.laws.ElasticPlastic. The memory of a contact (its largest
// overlap, its dent, its tangential spring) is kept with the neighbour list while that is valid, and
// with both spheres of the contact while spheres move between ranks.
//
// With `newton off` every rank computes each contact that touches one of its own spheres: a contact
// across ranks is computed and kept twice, with the same result.
//
//   fix ID all femssb/contacts FRICTION DAMPING ADHESION
//       MODULI SHEAR LIMITS       (types x types each, row by row)
//       PLANE_MODULI PLANE_LIMITS (types each)
//       PLANES (AXIS SIDE VARIABLE) ...   (the variable gives the position)
//       FILE                      (memory of contacts, doubles: tag, tag or -face, MEMORY values)
//
// and a pair style that only sets how far spheres reach, without the neighbour list of its own that
// `pair_style zero` has:
//
//   pair_style femssb/reach
//   pair_coeff * * DISTANCE

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "fix.h"
#include "input.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair.h"
#include "update.h"
#include "variable.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#if defined(FEMSSB_MPICH) && !defined(MPICH_VERSION)
#error "mpi.h is not that of MPICH, with which this LAMMPS was built"
#endif
#if defined(FEMSSB_OPEN_MPI) && !defined(OPEN_MPI)
#error "mpi.h is not that of Open MPI, with which this LAMMPS was built"
#endif

using namespace LAMMPS_NS;

namespace {

constexpr int MEMORY = 6;      // largest overlap, overlap left, radius of the dent, spring x y z
constexpr int COLUMNS = 8 + MEMORY;
constexpr double PI = 3.14159265358979323846;

using History = std::array<double, MEMORY>;

struct Remembered {
  double partner;    // tag of the other sphere, or -1 - face of a plane
  History memory;
};

struct Vector {
  double x, y, z;
};
inline Vector operator+(Vector a, Vector b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Vector operator-(Vector a, Vector b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline Vector operator*(double s, Vector a) { return {s * a.x, s * a.y, s * a.z}; }
inline double dot(Vector a, Vector b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline double length(Vector a) { return std::sqrt(dot(a, a)); }
inline Vector cross(Vector a, Vector b)
{
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
inline Vector read(const double *a) { return {a[0], a[1], a[2]}; }
inline void add(double *a, Vector b) { a[0] += b.x, a[1] += b.y, a[2] += b.z; }

}    // namespace

class FixContacts : public Fix {
 public:
  FixContacts(LAMMPS *lmp, int narg, char **arg) : Fix(lmp, narg, arg)
  {
    int at = 3;
    auto number = [&]() { return std::atof(arg[at++]); };
    types = atom->ntypes;
    friction = number(), damping = number(), adhesion = number();
    for (auto *table : {&moduli, &shear, &limits})
      for (int k = 0; k < types * types; ++k) table->push_back(number());
    for (auto *table : {&plane_moduli, &plane_limits})
      for (int k = 0; k < types; ++k) table->push_back(number());
    const int count = std::atoi(arg[at++]);
    for (int k = 0; k < count; ++k) {
      Plane plane;
      plane.axis = std::atoi(arg[at++]);
      plane.side = std::atoi(arg[at++]);
      plane.variable = arg[at++];
      planes.push_back(plane);
    }
    scalar_flag = 1, extscalar = 1;
    vector_flag = 1, size_vector = 6, global_freq = 1, extvector = 1;
    local_flag = 1, size_local_rows = 0, size_local_cols = COLUMNS, local_freq = 1;
    maxexchange = 1, maxexchange_dynamic = 1;
    comm_forward = 1;
    atom->add_callback(Atom::GROW);
    grow_arrays(atom->nmax);
    recall(arg[at]);
  }

  ~FixContacts() override
  {
    if (copymode) return;
    atom->delete_callback(id, Atom::GROW);
  }

  int setmask() override
  {
    return FixConst::PRE_EXCHANGE | FixConst::POST_NEIGHBOR | FixConst::POST_FORCE;
  }

  void init() override
  {
    pre_exchange();    // the list that is there now may be replaced
    neighbor->add_request(this, NeighConst::REQ_SIZE);
    for (auto &plane : planes) plane.index = input->variable->find(plane.variable.c_str());
  }

  void init_list(int, NeighList *given) override { list = given; }

  void setup_post_neighbor() override { post_neighbor(); }

  void setup(int) override
  {
    place_planes();
    for (auto &plane : planes) plane.speed = 0.0;
    contacts(false, nullptr);
  }

  void post_force(int) override
  {
    place_planes();
    contacts(true, nullptr);
  }

  // Lists the contacts of this rank's spheres at the end of a run; returns their number.

  double compute_scalar() override
  {
    if (starts.empty()) error->all(FLERR, "contacts are listed after a run");
    rows.clear();
    contacts(false, &rows);
    size_local_rows = (int) (rows.size() / COLUMNS);
    row_starts.resize(size_local_rows + 1);
    for (int k = 0; k < size_local_rows; ++k) row_starts[k] = rows.data() + (size_t) k * COLUMNS;
    array_local = row_starts.data();
    return size_local_rows;
  }

  double compute_vector(int face) override { return pushes[face]; }    // of this rank's spheres

  // The memory of contacts moves from the neighbour list to both spheres ...

  void pre_exchange() override
  {
    if (!starts.empty()) remember();
    // Of a sphere on any rank, for it may pass through another on its way.
    int most = 0, most_of_all;
    for (int i = 0; i < atom->nlocal; ++i) most = std::max(most, (int) remembered[i].size());
    MPI_Allreduce(&most, &most_of_all, 1, MPI_INT, MPI_MAX, world);
    maxexchange = 1 + most_of_all * (1 + MEMORY);
  }

  void remember()
  {
    const int nlocal = atom->nlocal;
    for (int i = 0; i < nlocal; ++i) remembered[i].clear();
    for (int ii = 0; ii < list->inum && ii + 1 < (int) starts.size(); ++ii) {
      const int i = list->ilist[ii];
      const int *others = list->firstneigh[i];
      for (size_t k = starts[ii]; k < starts[ii + 1]; ++k) {
        History &memory = memories[k];
        if (memory[0] <= 0.0) continue;
        const int j = others[k - starts[ii]] & NEIGHMASK;
        remembered[i].push_back({(double) atom->tag[j], memory});
        if (j >= nlocal) continue;
        History turned = memory;
        for (int m = 3; m < MEMORY; ++m) turned[m] = -turned[m];
        remembered[j].push_back({(double) atom->tag[i], turned});
      }
    }
    for (int i = 0; i < nlocal && (size_t) i * planes.size() < at_planes.size(); ++i)
      for (size_t p = 0; p < planes.size(); ++p) {
        const History &memory = at_planes[i * planes.size() + p];
        if (memory[0] > 0.0) remembered[i].push_back({-1.0 - face_of(p), memory});
      }
    starts.clear();
  }

  // ... and from there to the next list.

  void post_neighbor() override
  {
    starts.assign(1, 0);
    for (int ii = 0; ii < list->inum; ++ii)
      starts.push_back(starts.back() + list->numneigh[list->ilist[ii]]);
    memories.assign(starts.back(), History{});
    const int nlocal = atom->nlocal;
    for (int ii = 0; ii < list->inum; ++ii) {
      const int i = list->ilist[ii];
      if (remembered[i].empty()) continue;
      const int *others = list->firstneigh[i];
      for (size_t k = starts[ii]; k < starts[ii + 1]; ++k) {
        const double tag = (double) atom->tag[others[k - starts[ii]] & NEIGHMASK];
        for (const auto &known : remembered[i])
          if (known.partner == tag) memories[k] = known.memory;
      }
    }
    at_planes.assign(nlocal * planes.size(), History{});
    for (int i = 0; i < nlocal; ++i)
      for (const auto &known : remembered[i])
        for (size_t p = 0; p < planes.size(); ++p)
          if (known.partner == -1.0 - face_of(p)) at_planes[i * planes.size() + p] = known.memory;
  }

  // fix_modify ID masses: to be called when masses were changed from outside.

  int modify_param(int, char **arg) override
  {
    if (std::string(arg[0]) != "masses") return 0;
    comm->forward_comm(this);
    return 1;
  }

  int pack_forward_comm(int n, int *rows, double *buffer, int, int *) override
  {
    for (int k = 0; k < n; ++k) buffer[k] = atom->rmass[rows[k]];
    return n;
  }

  void unpack_forward_comm(int n, int first, double *buffer) override
  {
    std::copy(buffer, buffer + n, atom->rmass + first);
  }

  void grow_arrays(int nmax) override { remembered.resize(std::max<size_t>(nmax, 1)); }
  void copy_arrays(int from, int to, int) override { remembered[to] = remembered[from]; }
  void set_arrays(int i) override { remembered[i].clear(); }

  int pack_exchange(int i, double *buffer) override
  {
    int m = 0;
    buffer[m++] = (double) remembered[i].size();
    for (const auto &known : remembered[i]) {
      buffer[m++] = known.partner;
      for (double value : known.memory) buffer[m++] = value;
    }
    return m;
  }

  int unpack_exchange(int i, double *buffer) override
  {
    int m = 0;
    remembered[i].resize((size_t) buffer[m++]);
    for (auto &known : remembered[i]) {
      known.partner = buffer[m++];
      for (double &value : known.memory) value = buffer[m++];
    }
    return m;
  }

 private:
  struct Plane {
    int axis, side, index = -1;
    std::string variable;
    double position = 0.0, speed = 0.0;
  };

  int types;
  double friction, damping, adhesion;
  std::vector<double> moduli, shear, limits, plane_moduli, plane_limits;
  std::vector<Plane> planes;
  NeighList *list = nullptr;
  std::vector<std::vector<Remembered>> remembered;    // of every sphere
  std::vector<size_t> starts;                         // of every sphere's part of `memories`
  std::vector<History> memories, at_planes;
  std::vector<double> rows;
  std::vector<double *> row_starts;
  double pushes[6] = {};

  int face_of(size_t p) const { return 2 * planes[p].axis + planes[p].side; }

  void place_planes()
  {
    for (auto &plane : planes) {
      const double now = input->variable->compute_equal(plane.index);
      plane.speed = (now - plane.position) / update->dt;
      plane.position = now;
    }
  }

  void recall(const char *path)
  {
    for (int i = 0; i < atom->nlocal; ++i) remembered[i].clear();
    FILE *file = std::fopen(path, "rb");
    if (!file) error->one(FLERR, "Cannot open the memory of contacts {}", path);
    double record[2 + MEMORY];
    while (std::fread(record, sizeof(double), 2 + MEMORY, file) == 2 + MEMORY) {
      History memory;
      std::copy(record + 2, record + 2 + MEMORY, memory.begin());
      const int i = atom->map((tagint) record[0]);
      if (i >= 0 && i < atom->nlocal) remembered[i].push_back({record[1], memory});
      if (record[1] < 0) continue;
      for (int m = 3; m < MEMORY; ++m) memory[m] = -memory[m];
      const int j = atom->map((tagint) record[1]);
      if (j >= 0 && j < atom->nlocal) remembered[j].push_back({record[0], memory});
    }
    std::fclose(file);
  }

  // Push without the dashpot, and the pull of adhesion; `memory` follows the overlap.

  static void normal(double overlap, double modulus, double radius, double limit, History &memory,
                     bool follow, double &push, double &contact_radius)
  {
    const double ratio = PI * limit / (2.0 * modulus);
    const double start = ratio * ratio * radius;
    double &largest = memory[0], &left = memory[1], &dent = memory[2];
    if (overlap >= largest) {
      double found_left = 0.0, found_dent = radius, peak;
      contact_radius = std::sqrt(radius * overlap);
      if (overlap > start) {
        const double at_start = 4.0 / 3.0 * modulus * start * ratio * radius;
        peak = at_start + PI * limit * radius * (overlap - start);
        const double area = (2.0 * peak + at_start) / (2.0 * PI * limit);
        found_dent = 4.0 * modulus / (3.0 * peak) * area * std::sqrt(area);
        const double root = std::cbrt(3.0 * peak / (4.0 * modulus * std::sqrt(found_dent)));
        found_left = overlap - root * root;
        contact_radius = root * std::sqrt(found_dent);
      } else {
        peak = 4.0 / 3.0 * modulus * contact_radius * overlap;
      }
      push = peak;
      if (follow || largest == 0.0) largest = overlap, left = found_left, dent = found_dent;
      return;
    }
    const double elastic = overlap - left;
    if (elastic <= 0.0) {
      push = contact_radius = 0.0;
      return;
    }
    contact_radius = std::sqrt(dent * elastic);
    push = 4.0 / 3.0 * modulus * contact_radius * elastic;
  }

  void contacts(bool follow, std::vector<double> *table)
  {
    double **x = atom->x, **v = atom->v, **f = atom->f;
    double **omega = atom->omega, **torque = atom->torque;
    const double *radius = atom->radius, *mass = atom->rmass;
    const int *type = atom->type;
    const int nlocal = atom->nlocal;
    const double dt = update->dt;

    for (int ii = 0; ii < list->inum; ++ii) {
      const int i = list->ilist[ii];
      const Vector xi = read(x[i]);
      const int *others = list->firstneigh[i];
      for (size_t k = starts[ii]; k < starts[ii + 1]; ++k) {
        const int j = others[k - starts[ii]] & NEIGHMASK;
        const Vector away = xi - read(x[j]);
        const double sum = radius[i] + radius[j], squared = dot(away, away);
        if (squared >= sum * sum) {
          if (follow && memories[k][0] > 0.0) memories[k] = History{};
          continue;
        }
        History kept = memories[k];
        History &memory = follow ? memories[k] : kept;
        const double distance = std::sqrt(squared), overlap = sum - distance;
        const Vector n = (1.0 / distance) * away;
        const double effective = radius[i] * radius[j] / sum;
        const int pair = (type[i] - 1) * types + type[j] - 1;
        double push, a;
        normal(overlap, moduli[pair], effective, limits[pair], memory, follow, push, a);
        if (a == 0.0) {    // parted before the dents are round again
          for (int m = 3; m < MEMORY; ++m) memory[m] = 0.0;
          if (table) record_pair(*table, i, j, away, {0.0, 0.0, 0.0}, memory);
          continue;
        }
        const double reduced = mass[i] * mass[j] / (mass[i] + mass[j]);
        const double dashpot = damping * std::sqrt(reduced * 4.0 / 3.0 * moduli[pair] * a);
        const Vector relative = read(v[i]) - read(v[j]);
        const double speed = dot(relative, n);
        const Vector turning = radius[i] * read(omega[i]) + radius[j] * read(omega[j]);
        const Vector slide = relative - speed * n - cross(turning, n);
        const double pull = 2.0 * PI * adhesion * memory[2];

        Vector spring = {memory[3], memory[4], memory[5]};
        if (follow) {    // turn it with the contact, keeping its length, then stretch it
          const double before = length(spring);
          spring = spring - dot(spring, n) * n;
          const double after = length(spring);
          if (after > 0.0) spring = (before / after) * spring;
          spring = spring + dt * slide;
        }
        const double stiffness = shear[pair] * a;
        Vector drag = (-stiffness) * spring - dashpot * slide;
        const double most = friction * std::fabs(push - dashpot * speed), size = length(drag);
        if (size > most) {
          drag = (size > 0.0 ? most / size : 0.0) * drag;
          spring = (-1.0 / stiffness) * (drag + dashpot * slide);
        }
        memory[3] = spring.x, memory[4] = spring.y, memory[5] = spring.z;

        const Vector force = (push - pull - dashpot * speed) * n + drag;
        if (table) {
          record_pair(*table, i, j, away, force, memory);
          continue;
        }
        const Vector twist = cross(n, drag);
        add(f[i], force);
        add(torque[i], (-(radius[i] - 0.5 * overlap)) * twist);
        if (j < nlocal) {
          add(f[j], -1.0 * force);
          add(torque[j], (-(radius[j] - 0.5 * overlap)) * twist);
        }
      }
    }

    if (!table) std::fill(pushes, pushes + 6, 0.0);
    for (size_t p = 0; p < planes.size(); ++p) {
      const Plane &plane = planes[p];
      const int axis = plane.axis;
      const double inwards = plane.side == 0 ? 1.0 : -1.0;
      for (int i = 0; i < nlocal; ++i) {
        const double distance = inwards * (x[i][axis] - plane.position);
        const double overlap = radius[i] - distance;
        History &stored = at_planes[i * planes.size() + p];
        if (overlap <= 0.0) {
          if (follow && stored[0] > 0.0) stored = History{};
          continue;
        }
        History kept = stored;
        History &memory = follow ? stored : kept;
        double push, a;
        const int kind = type[i] - 1;
        normal(overlap, plane_moduli[kind], radius[i], plane_limits[kind], memory, follow, push, a);
        const double dashpot = damping * std::sqrt(mass[i] * 4.0 / 3.0 * plane_moduli[kind] * a);
        const double net = push - dashpot * inwards * (v[i][axis] - plane.speed);
        double force[3] = {0.0, 0.0, 0.0}, branch[3] = {0.0, 0.0, 0.0};
        force[axis] = inwards * net;
        branch[axis] = -inwards * distance;
        if (table) {
          record(*table, atom->tag[i], -1 - face_of(p), read(branch), read(force), memory, 1.0);
          continue;
        }
        f[i][axis] += force[axis];
        pushes[face_of(p)] += net;
      }
    }
  }

  // Every pair once: by the rank that owns the sphere with the lower tag.

  void record_pair(std::vector<double> &table, int i, int j, Vector away, Vector force,
                   const History &memory) const
  {
    const tagint own = atom->tag[i], other = atom->tag[j];
    if (own < other)
      record(table, own, other, -1.0 * away, force, memory, 1.0);
    else if (j < atom->nlocal)
      record(table, other, own, away, -1.0 * force, memory, -1.0);
  }

  static void record(std::vector<double> &table, tagint first, tagint second, Vector branch,
                     Vector force, const History &memory, double sign)
  {
    const double values[8] = {(double) first, (double) second, branch.x, branch.y,
                              branch.z,       force.x,         force.y,  force.z};
    table.insert(table.end(), values, values + 8);
    for (int m = 0; m < MEMORY; ++m) table.push_back(m < 3 ? memory[m] : sign * memory[m]);
  }
};

class PairReach : public Pair {
 public:
  explicit PairReach(LAMMPS *lmp) : Pair(lmp)
  {
    restartinfo = 0, single_enable = 0;
    no_virial_fdotr_compute = 1;
  }

  ~PairReach() override
  {
    if (!allocated) return;
    memory->destroy(setflag);
    memory->destroy(cutsq);
  }

  void settings(int, char **) override {}

  void coeff(int, char **arg) override
  {
    const int n = atom->ntypes + 1;
    if (!allocated) {
      memory->create(setflag, n, n, "pair:setflag");
      memory->create(cutsq, n, n, "pair:cutsq");
      allocated = 1;
    }
    for (int i = 1; i < n; ++i)
      for (int j = 1; j < n; ++j) setflag[i][j] = 1;
    distance = std::atof(arg[2]);
  }

  double init_one(int, int) override { return distance; }
  void init_style() override {}    // the usual one asks for a list
  void compute(int, int) override {}

 private:
  double distance = 0.0;
};

// LAMMPS's plugin interface, which its installed headers do not declare.

extern "C" {
typedef struct {
  const char *version, *style, *name, *info, *author;
  union {
    void *(*alone)(void *);
    void *(*with_arguments)(void *, int, char **);
  } creator;
  void *handle;
} lammpsplugin_t;
typedef void (*lammpsplugin_regfunc)(lammpsplugin_t *, void *);

static void *create_pair(void *lmp)
{
  return new PairReach((LAMMPS *) lmp);
}

static void *create_fix(void *lmp, int narg, char **arg)
{
  return new FixContacts((LAMMPS *) lmp, narg, arg);
}

void lammpsplugin_init(void *lmp, void *handle, void *regfunc)
{
  lammpsplugin_t plugin;
  plugin.version = FEMSSB_LAMMPS_VERSION;
  plugin.author = "The femssb authors";
  plugin.handle = handle;

  plugin.style = "pair";
  plugin.name = "femssb/reach";
  plugin.info = "how far spheres of femssb reach";
  plugin.creator.alone = &create_pair;
  (*(lammpsplugin_regfunc) regfunc)(&plugin, lmp);

  plugin.style = "fix";
  plugin.name = "femssb/contacts";
  plugin.info = "elastic-plastic contacts of femssb";
  plugin.creator.with_arguments = &create_fix;
  (*(lammpsplugin_regfunc) regfunc)(&plugin, lmp);
}
}
