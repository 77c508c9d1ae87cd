-- Path walk (fs/namei.c): search permission on every directory, symlinks up to 40, and bpffs' own
-- rule that a name with a dot is not found (bpf_lookup(): EPERM).
-- Invariant: a walk only reads; it starts at the namespace's root and never leaves it.
local kernel = use("base/kernel")
local cred = use("base/cred")
local inode = use("fs/inode")

local namei = {}

local PATH_MAX, NAME_MAX, MAX_LINKS = 4096, 255, 40
-- Components that one walk takes: symlinks must not multiply those of a path without bound.
local STEPS = 4200

-- The node or nil. A node that exists is in the dcache, so that bpf_lookup() sees only missing names.
function namei.lookup(dir, name)
  local node = inode.lookup(dir, name)
  if node then return node end
  if name:find(".", 1, true) and bit.band(dir.mode, 4095) ~= 0 then
    kernel.fail("EPERM", "a name on bpffs must not contain a dot, got " .. name)
  end
  if #name > NAME_MAX then
    kernel.fail("ENAMETOOLONG", "a name must have at most " .. NAME_MAX .. " bytes, got " .. #name)
  end
end

local function check(path)
  if path == "" then kernel.fail("ENOENT", "the path must not be empty") end
  if #path >= PATH_MAX then
    kernel.fail("ENAMETOOLONG", "a path must have at most " .. PATH_MAX - 1 .. " bytes, got " .. #path)
  end
end

local function last_type(name)
  if name == "." then return "dot" end
  if name == ".." then return "dotdot" end
  return "norm"
end

-- A symlink's text takes the place of its name.
local function follow_link(node, links)
  if links > MAX_LINKS then
    kernel.fail("ELOOP", "the path leads through more than " .. MAX_LINKS
      .. " symlinks, or through a loop of them")
  end
  return node.object
end

-- Walks a path component by component. Answers the directories walked through and the last component:
-- its name, its type and whether slashes follow it. With `parent` the last component is not looked up.
local function walk(path, parent, follow)
  check(path)
  local stack, links, text, at = { inode.load(1) }, 0, path, 1
  for _ = 1, STEPS do
    local name, after = text:match("^/*([^/]+)()", at)
    local dir = stack[#stack]
    if not name then return { stack = stack, dir = dir, node = dir, type = "root" } end
    cred.check_access(dir, 1, "searching the directory above " .. name)
    local last = not text:find("[^/]", after)
    local slash = last and after <= #text
    local type = last_type(name)
    if last and parent then
      return { stack = stack, dir = dir, name = name, type = type, slash = slash }
    end
    local node = type == "norm" and namei.lookup(dir, name)
    if type == "norm" and not node then kernel.fail("ENOENT", name .. " in " .. path .. " does not exist") end
    if type == "dotdot" and #stack > 1 then stack[#stack] = nil end
    at = after
    if node and node.kind == "symlink" and (not last or follow or slash) then
      links = links + 1
      text, at = follow_link(node, links) .. text:sub(after):gsub("^//+", "/"), 1
      if #text > 2 * PATH_MAX then
        kernel.fail("ELOOP", "the symlinks of the path expand to more than " .. 2 * PATH_MAX .. " bytes")
      end
      if text:sub(1, 1) == "/" then stack = { inode.load(1) } end
    else
      if node and node.kind ~= "directory" then
        if not last or slash then kernel.fail("ENOTDIR", name .. " is not a directory") end
        return { stack = stack, dir = dir, node = node, type = type }
      end
      if node then stack[#stack + 1] = node end
      if last then return { stack = stack, node = stack[#stack], type = type } end
    end
  end
  kernel.fail("ELOOP", "the symlinks of the path expand to more than " .. STEPS .. " components")
end

-- user_path_at(): the node at the end of the path.
function namei.user_path_at(path, follow)
  return walk(path, false, follow).node
end

-- filename_parentat(): the directory and the last component, which is not looked up.
function namei.filename_parentat(path)
  return walk(path, true, false)
end

-- filename_create(): the place of a new name. EEXIST comes before any permission to write.
function namei.filename_create(path, want_directory)
  local at = namei.filename_parentat(path)
  if at.type ~= "norm" then kernel.fail("EEXIST", path .. " exists") end
  if namei.lookup(at.dir, at.name) then kernel.fail("EEXIST", path .. " exists") end
  if at.slash and not want_directory then
    kernel.fail("ENOENT", path .. " must not end in a slash: the new name is not a directory")
  end
  return at
end

-- may_create()
function namei.may_create(dir)
  cred.check_access(dir, 3, "adding a name to the directory")
end

-- may_delete(): whether a name may leave its directory; `directory`: the caller expects a directory.
function namei.may_delete(dir, node, directory)
  cred.check_access(dir, 3, "removing a name from the directory")
  if cred.check_sticky(dir, node) then
    kernel.fail("EPERM",
      "in a sticky directory only its owner, the owner of the entry and CAP_FOWNER may remove it")
  end
  if directory and node.kind ~= "directory" then
    kernel.fail("ENOTDIR", "a " .. node.kind .. " is not a directory")
  end
  if not directory and node.kind == "directory" then
    kernel.fail("EISDIR", "the path is a directory: remove it by rmdir")
  end
end

return namei
