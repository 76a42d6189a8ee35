# Where the images are.

image_storage "main" {
  hosts = [host.hv1, host.hv2, host.hv3]
  owner = local.owner # mistake: reference-to-undeclared-local-value
  mode  = "0980"      # mistake: invalid-mode
}

image_storage "single" {
  hosts = [host.hv4]   # mistake: reference-to-undeclared-resource
  root  = "srv/larder" # mistake: invalid-path
}

image_storage "backup" {
  hosts = host.nas # mistake: not-a-resource
}

image_storage "spare" { # mistake: missing-attribute
  mode = "0770"
}

external_volume "disk" {
  storage     = image_storage.main
  mount_point = "/data/images"
  directory {}
  lifecycle {
    accept         = ["not-blank"] # mistake: invalid-accept
    ignore_changes = [mod]         # mistake: invalid-ignore-changes
  }
}

external_volume "scratch" {
  storage     = image_storage.main
  mount_point = "/data/images" # mistake: duplicate-path
  persist     = "fstap"        # mistake: invalid-value
  tmpfs {
    size = "64MeB" # mistake: invalid-size
  }
}

external_volume "both" {
  storage = image_storage.main
  directory {}
  bind { # mistake: conflicting-blocks
    source = "/data/scratch"
  }
}

external_volume "array" {
  storage = image_storage.single
  device { # mistake: missing-attribute
    path   = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4"
    format = yes # mistake: invalid-reference
  }
}

external_volume "cache" {
  storage = image_storage.main
  tmfps { # mistake: unknown-block
    size = "1GiB"
  }
}

external_volume "archive" {
  for_each = toset(["2024", "2025", "2026"])
  storage  = image_storage.main
  mode     = each.key     # no mistake: 2024 is octal, and so are the others
  options  = ["ro", null] # mistake: wrong-type
  directory {}
}

external_volume "on_all" {
  storage = image_storage.main
  device { # mistake: not-a-cluster-file-system
    path   = "/dev/disk/by-id/wwn-0x5000c500a1b2c3d5"
    fstype = "xfs"
  }
}

external_volume "spare" {
  storage = image_storage.spare
  bind {
    source  = "/srv/spare"
    options = ro # mistake: unknown-attribute
  }
}

external_volum "old" { # mistake: unknown-block
  storage = image_storage.main
}
