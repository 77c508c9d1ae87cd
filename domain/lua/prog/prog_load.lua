-- Commands that make a program; domain/commands/prog_load.ts calls them one after the other.
local kernel = use("base/kernel")
local cred = use("base/cred")
local session = use("base/session")
local idr = use("file/idr")
local insns = use("prog/insns")
local prog = use("prog/prog")
local prog_btf = use("prog/prog_btf")
local prog_check = use("prog/prog_check")
local prog_maps = use("prog/prog_maps")
local uapi = use("uapi")
local band = bit.band

local sys, first_half = kernel.sys, kernel.first_half
-- The record of the request is left to prog_load.
first_half.prog_admit, first_half.prog_resolve = "success", "success"

-- bpf_check_tail_call(): a map of programs accepts programs of one kind, which the first one sets. What
-- fails after that (a later map, EMFILE) undoes nothing, as in Linux.
local function check_tail_call(maps, owner)
  for _, m in ipairs(maps) do
    if m.ops.check_compatible then m.ops.check_compatible(m, owner) end
  end
end

--[[
  Checks what comes before the instructions, so that no time is spent on a load that is refused anyway
  (kernel: the first half of bpf_prog_load()).

    Input:
      attr_json  attributes of BPF_PROG_LOAD
      insn_cnt   number of instructions
    Output: nothing
    Errors:
      EINVAL  an attribute is wrong
      EPERM   the caller lacks a capability
      E2BIG   there are no instructions, or too many
]]
function sys.prog_admit(attr_json, insn_cnt)
  prog_check.attributes(cjson.decode(attr_json), tonumber(insn_cnt))
end

--[[
  Checks all that comes before the registers and answers what their check needs (kernel:
  bpf_prog_load(), then bpf_check() up to resolve_pseudo_ldimm64()).

    Input:
      attr_json     attributes of BPF_PROG_LOAD
      insn_cnt      number of instructions
      verdict_json  refs and the refusals found so far, see prog_load
    Output:
      type     name of the program type
      attach   expected_attach_type
      gpl      1 when the license is GPL-compatible, else 0
      rows     of each ref: the map in the order of uapi.PROG_MAP, then of uapi.INNER_MAP
      perfmon  1 when the caller has CAP_PERFMON, else 0
    Errors: those of prog_admit, and
      EBADF     a ref or prog_btf_fd is not an open fd
      EFAULT    there are fewer records of func_info or line_info than their number says
      ENOENT    no map has the id of a ref
      ENOTSUPP  the type or its attachment is not supported
      and the errno of a refusal of the verdict
]]
function sys.prog_resolve(attr_json, insn_cnt, verdict_json)
  local attr, verdict, rows = cjson.decode(attr_json), cjson.decode(verdict_json), {}
  local type, attach, _, ids = prog_check.before_registers(attr, tonumber(insn_cnt), verdict)
  for i, id in ipairs(ids) do
    rows[i] = prog_maps.row(id)
  end
  local perfmon = cred.capable_or_admin("CAP_PERFMON") and 1 or 0
  return type.name, attach, prog_check.is_gpl(attr) and 1 or 0, rows, perfmon
end

--[[
  BPF_PROG_LOAD (kernel: bpf_prog_load()): makes a program and an fd for it.

    Input:
      attr_json     attributes of BPF_PROG_LOAD
      text          instructions, in which a map is an index into refs; "" for a draft
      verdict_json  of the check outside of Redis: refs (the distinct maps { fd or id, offset when its
                    value is addressed }), the refusals early, beforeMaps, atMap and byDoCheck, tag, log,
                    ids (the maps for which byDoCheck was found) and btf_id (of the BTF it was checked with)
      insn_cnt      number of instructions
      draft         name of the pages sent ahead, or ""
      func_records, line_records  func_info and line_info as they are after the check, "" for none
    Output:
      fd, id
      log  of the verifier
    Errors: those of prog_resolve, and
      STALE   an fd is another map now, or the draft is gone: the service prepares the load again
      EINVAL  a map belongs to programs of another kind
      EMFILE  the session has as many fds as its nofile allows
]]
function sys.prog_load(attr_json, text, verdict_json, insn_cnt, draft, func_records, line_records)
  local attr, verdict = cjson.decode(attr_json), cjson.decode(verdict_json)
  insn_cnt = tonumber(insn_cnt)
  local type, attach, maps, ids = prog_check.before_registers(attr, insn_cnt, verdict)
  for i, id in ipairs(ids) do
    if tostring(verdict.ids[i]) ~= tostring(id) then
      error({ errno = "STALE", detail = "an fd is another map now" }, 0)
    end
  end
  prog_check.refuse(verdict.byDoCheck)
  insns.check_draft(draft, insn_cnt)
  local owner = type.name .. "/" .. attach .. "/" .. band(attr.prog_flags, uapi.BPF_F_XDP_HAS_FRAGS)
  check_tail_call(maps, owner)
  local license = prog_check.license(attr)
  local record = { "prog_type", type.name,
    "prog_name", attr.prog_name, "tag", verdict.tag, "license", license,
    "gpl_compatible", prog_check.is_gpl(attr) and 1 or 0, "insn_cnt", insn_cnt, "load_time", current.wall,
    "created_by_uid", session.cred().uid, "expected_attach_type", attach,
    "owner", owner, "maps", table.concat(ids, ","), "func_info", attr.func_info and 1 or 0 }
  prog_btf.add_fields(record, verdict, func_records, line_records)
  local fd, id = idr.publish("prog", 3, record)
  prog_btf.hold(id, verdict)
  insns.save(id, text, draft)
  for _, m in ipairs(maps) do prog.use_map(id, m.id) end
  return fd, id, verdict.log
end
