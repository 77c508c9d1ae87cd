-- The tree's commands that change and remove names: chmod, chown, unlink, rmdir, rename.
-- Invariant: what a name's going frees is put by the same call: the map, its slots, their programs.
local kernel = use("base/kernel")
local session = use("base/session")
local cred = use("base/cred")
local inode = use("fs/inode")
local namei = use("fs/namei")
local band = bit.band

local sys = kernel.sys

local SUID, SGID = 2048, 1024

local function without(mode, bits)
  return mode - band(mode, bits)
end

-- in_group_or_capable(): who may keep a setgid bit.
local function may_setgid(gid)
  return cred.in_group_p(gid) or cred.capable("CAP_FSETID")
end

-- chown_ok() and chgrp_ok()
local function may_chown(node, uid, gid)
  local owner = session.cred().uid == node.uid
  if not (owner and uid == node.uid) and not cred.capable("CAP_CHOWN") then return false end
  return (owner and (gid == node.gid or cred.in_group_p(gid))) or cred.capable("CAP_CHOWN")
end

-- setattr_should_drop_suidgid(): the mode that chown leaves of a file, judged by its old group.
local function chown_mode(node, gid)
  if node.kind == "directory" then return node.mode end
  local mode = without(node.mode, SUID)
  if band(mode, 8) ~= 0 or not may_setgid(node.gid) then mode = without(mode, SGID) end
  if mode ~= node.mode and not may_setgid(gid) then mode = without(mode, SGID) end
  return mode
end

-- chown(2) then chmod(2) of one node, as far as each is asked for: EPERM.
function sys.setattr(path, mode, uid, gid)
  local node = namei.user_path_at(path, true)
  local new_uid, new_gid = tonumber(uid) or node.uid, tonumber(gid) or node.gid
  local chowns = uid ~= "" or gid ~= ""
  if chowns and not may_chown(node, new_uid, new_gid) then
    kernel.fail("EPERM", "changing the owner of " .. path .. " needs CAP_CHOWN")
  end
  local left = chowns and chown_mode(node, new_gid) or node.mode
  if (mode ~= "" or left ~= node.mode) and not cred.owner_or_capable(node) then
    kernel.fail("EPERM", "changing the mode of " .. path .. " needs its owner or CAP_FOWNER")
  end
  node.uid, node.gid, node.mode = new_uid, new_gid, left
  if mode ~= "" then
    node.mode = band(mode, 4095)
    if not may_setgid(node.gid) then node.mode = without(node.mode, SGID) end
  end
  inode.store(node)
  return node.kind, node.mode, node.uid, node.gid, node.nlink, node.ino, node.object or ""
end

local function existing(at, path)
  local node = namei.lookup(at.dir, at.name)
  if not node then kernel.fail("ENOENT", "no " .. path) end
  return node
end

local function remove(dir, name, node)
  inode.remove_name(dir, name, node)
  inode.drop_nlink(node)
end

-- unlink(2)
function sys.unlink(path)
  local at = namei.filename_parentat(path)
  if at.type ~= "norm" then kernel.fail("EISDIR", path .. " is a directory") end
  local node = existing(at, path)
  if at.slash then
    kernel.fail(node.kind == "directory" and "EISDIR" or "ENOTDIR", path .. " ends in a slash")
  end
  namei.may_delete(at.dir, node, false)
  remove(at.dir, at.name, node)
end

-- rmdir(2)
local RMDIR = { dotdot = "ENOTEMPTY", dot = "EINVAL", root = "EBUSY" }
function sys.rmdir(path)
  local at = namei.filename_parentat(path)
  if at.type ~= "norm" then kernel.fail(RMDIR[at.type], path .. " cannot be removed") end
  local node = existing(at, path)
  namei.may_delete(at.dir, node, true)
  if not inode.is_empty(node) then kernel.fail("ENOTEMPTY", path .. " has entries") end
  remove(at.dir, at.name, node)
end

-- rm -r: everything below and the name itself, all or nothing (an extension).
-- E2BIG: more than one atomic step removes.
local TREE = 150
local function collect(dir, name, node, found)
  namei.may_delete(dir, node, node.kind == "directory")
  found.seen = (found.seen or 0) + 1
  if found.seen > TREE then
    kernel.fail("E2BIG", "more than " .. TREE .. " names: remove parts first")
  end
  if node.kind == "directory" and not inode.is_empty(node) then
    cred.check_access(node, 4, "reading the directory " .. name)
    cred.check_access(node, 1, "searching the directory " .. name)
    local page = inode.readdir(node, 0, "", TREE)
    for i = 1, #page, 2 do collect(node, page[i], inode.load(page[i + 1]), found) end
  end
  found[#found + 1] = { dir, name, node }
end

function sys.unlink_tree(path)
  local at = namei.filename_parentat(path)
  if at.type ~= "norm" then kernel.fail(RMDIR[at.type], path .. " cannot be removed") end
  local found = {}
  collect(at.dir, at.name, existing(at, path), found)
  for _, entry in ipairs(found) do remove(unpack(entry)) end
end
