-- The BTF of a map's keys and values, as BPF_MAP_CREATE checks it (kernel: map_check_btf()).
local kernel = use("base/kernel")
local btf = use("btf/btf")
local btf_type = use("btf/btf_type")
local map = use("map/map")
local map_attr = use("map/map_attr")
local band = bit.band

local map_btf = {}

-- What each special field needs of a map's type, a member of its property special_fields.
local NEEDS = { bpf_spin_lock = "locks", bpf_res_spin_lock = "locks", bpf_timer = "timers", bpf_wq = "timers",
  bpf_task_work = "timers", bpf_list_head = "roots", bpf_rb_root = "roots", bpf_refcount = "kptrs",
  kptr = "kptrs", kptr_untrusted = "kptrs", percpu_kptr = "kptrs", uptr = "uptrs" }

-- Values of the property special_fields of map types.
map_btf.ALL_FIELDS = { locks = true, timers = true, roots = true, kptrs = true }
map_btf.ALL_BUT_LOCKS = { timers = true, roots = true, kptrs = true }
map_btf.POINTERS = { kptrs = true }

-- map_create(): attributes that exclude each other, checked before all others.
function map_btf.check_ids(attr)
  if attr.btf_vmlinux_value_type_id ~= "0" then
    map.einval("btf_vmlinux_value_type_id must be 0: there are no struct_ops maps")
  end
  if attr.btf_key_type_id ~= "0" and attr.btf_value_type_id == "0" then
    map.einval("btf_value_type_id must not be 0 beside a btf_key_type_id")
  end
end

local function sized(btf_id, attr, part)
  local field, size = "btf_" .. part .. "_type_id", attr[part .. "_size"]
  local found = btf_type.read(btf_id, attr[field])
  if not found or not found.size then
    map.einval(field .. " must be a type that has a size, got " .. attr[field])
  end
  if found.size ~= size then
    map.einval(field .. " must have the " .. size .. " bytes of " .. part .. "_size, got " .. found.size)
  end
  return found
end

local function check_field(attr, ops, name)
  if not ops.special_fields or not ops.special_fields[NEEDS[name]] then
    kernel.fail("EOPNOTSUPP", "a " .. attr.map_type .. " cannot have a " .. name .. " in its values")
  end
end

-- Offsets of the bpf_spin_locks, and the other special fields as a text; nil where there are none.
local function check_special(attr, ops, fields)
  if not fields then return nil end
  if type(fields) == "string" then
    kernel.fail(fields, "btf_value_type_id has a list or tree whose contents have no node")
  end
  if band(attr.map_flags, map_attr.ACCESS_PROG) ~= 0 then
    kernel.fail("EACCES",
      "a map with special fields must not have BPF_F_RDONLY_PROG or BPF_F_WRONLY_PROG")
  end
  local locks, others = {}, {}
  for _, field in ipairs(fields) do
    local name, offset = field[1], field[2]
    check_field(attr, ops, name)
    if name == "bpf_spin_lock" then
      locks[#locks + 1] = offset
    else
      others[#others + 1] = name .. "@" .. offset
    end
  end
  return locks[1] and table.concat(locks, ","), others[1] and table.concat(others, ",")
end

-- The BTF that the map gets: { id, locks, special }; nil without type ids, which leave btf_fd unread.
function map_btf.check(attr, ops)
  if attr.btf_value_type_id == "0" then return nil end
  local f = btf.fget(attr.btf_fd)
  local key = attr.btf_key_type_id ~= "0" and sized(f.id, attr, "key") or nil
  if not key and not ops.check_btf then
    map.einval("btf_key_type_id must not be 0 for a " .. attr.map_type)
  end
  local value = sized(f.id, attr, "value")
  local locks, special = check_special(attr, ops, btf_type.special_fields(f.id, value.id))
  if ops.check_btf then ops.check_btf(attr, key, value) end
  return { id = f.id, locks = locks, special = special }
end

-- map_check_no_btf()
function map_btf.unsupported(attr)
  kernel.fail("ENOTSUPP", "a " .. attr.map_type .. " cannot have BTF")
end

return map_btf
