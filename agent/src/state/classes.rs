//! Classes, fields and objects of the JDK that the agent needs, found while arming; what few audits
//! need is found when it is needed, through the boot loader alone.
//!
//! Other look-ups could run code of the program (its class loader) at a bad time. Invariant:
//! everything in here is a global reference or an id, valid on every thread until the process ends.

use crate::sys::jni::{self, Jni, jfieldID, jmethodID};
use crate::sys::jvmti::{Jvmti, jclass, jint, jlong, jobject};
use std::ffi::CStr;
use std::sync::OnceLock;
use zaudit_core::model::{Kind, PerKind};
use zaudit_instrument as instrument;

const OUT_OF_MEMORY: &str = "the JVM has no memory for the classes that the agent needs";

/// What was found before, or what `find` finds. It is kept, but not if the JVM had no memory
/// meanwhile: then the next one finds more.
fn found<T: Copy>(kept: &OnceLock<T>, find: impl FnOnce() -> T) -> T {
    if let Some(known) = kept.get() {
        return *known;
    }
    let before = jni::shortages();
    let found = find();
    if jni::shortages() == before { *kept.get_or_init(|| found) } else { found }
}

/// The state of an instance, from its own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Its constructor has not reached its native part, and may never do so.
    Unborn,
    /// It holds native memory.
    Open,
    /// It has freed its native memory.
    Ended,
}

pub(crate) struct Classes {
    pub(crate) inflater: jclass,
    pub(crate) deflater: jclass,
    /// `java.lang.Thread`.
    pub(crate) thread: jclass,
    /// `java.lang.Shutdown`.
    pub(crate) shutdown: jclass,
    /// The classes that own native streams in JDK 9 and later.
    inflater_stream: Option<jclass>,
    deflater_stream: Option<jclass>,
    /// The class that lends Inflaters to entry streams of a `ZipFile`.
    lender: (&'static str, jclass),
    /// `java.nio.file.spi.FileSystemProvider`.
    provider: jclass,
    /// Its field `installedProviders`: JDK 8 to 28 have it.
    installed_providers: Option<jfieldID>,
    /// The class that lends Inflaters to streams of zip file systems, once it is loaded.
    zipfs: OnceLock<(&'static str, jclass)>,
    /// `jdk.internal.misc.CarrierThread`: JDK 21 to 28 have it.
    carrier: Option<jclass>,
    /// `java.lang.Class.classRedefinedCount`: JDK 8 to 28 have it.
    pub(crate) redefined: Option<jfieldID>,
    /// From an instance to its native address, once that is needed: `zsRef` and `address`. JNI
    /// initialises a class to find its fields, which loads the JDK's zip library.
    address: OnceLock<PerKind<Option<(jfieldID, jfieldID)>>>,
    /// `java.lang.Thread.tid`: JDK 8 to 28 have it.
    thread_number: Option<jfieldID>,
    /// `java.lang.Thread.threadStatus`: JDK 8 to 18 have it there.
    thread_status: Option<jfieldID>,
    /// What a platform thread was made to run: `java.lang.Thread.target` up to JDK 18, the field
    /// `task` of its `holder` from JDK 19 on.
    task: Option<Task>,
    /// `java.lang.ref.Finalizer.queue` and `queueLength`: JDK 8 to 28 have them.
    finalizer_queue: Option<(jobject, jfieldID)>,
    /// `java.lang.ref.Reference.pending`, what the GC has found: JDK 8 has it.
    pending: Option<(jclass, jfieldID)>,
    /// The JDK's own Cleaner, once it is needed.
    cleaner: OnceLock<Option<Cleaner>>,
    /// The methods of [`DEFINERS`], once they are needed.
    definers: [Definer; DEFINERS.len()],
}

/// The JDK's methods that read a class from an archive and define it. JDK 8 has the first one, JDK
/// 9 and later the others.
const DEFINERS: [(&CStr, &CStr); 4] = [
    (c"java.net.URLClassLoader", c"(Ljava/lang/String;Lsun/misc/Resource;)Ljava/lang/Class;"),
    (
        c"java.net.URLClassLoader",
        c"(Ljava/lang/String;Ljdk/internal/loader/Resource;)Ljava/lang/Class;",
    ),
    (
        c"jdk.internal.loader.BuiltinClassLoader",
        c"(Ljava/lang/String;Ljdk/internal/loader/Resource;)Ljava/lang/Class;",
    ),
    (
        c"jdk.internal.loader.BuiltinClassLoader",
        c"(Ljava/lang/String;Ljdk/internal/loader/BuiltinClassLoader$LoadedModule;)Ljava/lang/Class;",
    ),
];

/// One of the [`DEFINERS`].
#[derive(Default)]
struct Definer {
    class: OnceLock<Option<jclass>>,
    /// As a number. None inside if the class has no such method.
    method: OnceLock<Option<usize>>,
}

/// Where a thread has its task.
#[derive(Clone, Copy)]
struct Task {
    /// None if the thread has it itself.
    holder: Option<jfieldID>,
    field: jfieldID,
}

/// What shows that the JDK's own Cleaner has work to do. JDK 9 to 28 have all of it.
#[derive(Clone, Copy)]
struct Cleaner {
    /// `java.lang.ref.Reference`, which knows what the GC has found.
    reference: jclass,
    /// Its method `hasReferencePendingList`.
    pending: jmethodID,
    /// Its field `processPendingActive`.
    active: jfieldID,
    /// `CleanerFactory.commonCleaner.impl.queue` and `queueLength`.
    queue: (jobject, jfieldID),
}

// SAFETY: global references and ids are valid on every thread (JNI, "Referencing Java Objects").
unsafe impl Send for Classes {}
// SAFETY: as above; they are only read.
unsafe impl Sync for Classes {}

impl Classes {
    /// `any` is any class. The error message names what is missing.
    pub(crate) fn find(jni: Jni, any: jclass) -> Result<Classes, String> {
        if !jni.know_errors(any) {
            return Err(OUT_OF_MEMORY.into());
        }
        let before = jni::shortages();
        let found = Classes::find_all(jni, any)?;
        // What a JDK may lack would be missing in all audits of this process.
        if jni::shortages() == before { Ok(found) } else { Err(OUT_OF_MEMORY.into()) }
    }

    fn find_all(jni: Jni, any: jclass) -> Result<Classes, String> {
        let class = |name: &CStr| {
            let local = jni
                .boot_class(any, name)
                .ok_or_else(|| format!("this JVM has no class {}", name.to_string_lossy()))?;
            let global = jni.global(local).ok_or_else(|| OUT_OF_MEMORY.to_owned());
            jni.delete_local(local);
            global
        };
        let (inflater, deflater) =
            (class(c"java.util.zip.Inflater")?, class(c"java.util.zip.Deflater")?);
        let lender = match class(c"java.util.zip.ZipFile$CleanableResource") {
            Ok(class) => (instrument::ZIP_FILE_RESOURCE, class),
            Err(_) => (instrument::ZIP_FILE, class(c"java.util.zip.ZipFile")?),
        };
        let thread = class(c"java.lang.Thread")?;
        let provider = class(c"java.nio.file.spi.FileSystemProvider")?;
        let class_class = jni.class_of(any);
        let redefined = jni.field(class_class, c"classRedefinedCount", c"I");
        jni.delete_local(class_class);
        Ok(Classes {
            redefined,
            inflater,
            deflater,
            thread,
            shutdown: class(c"java.lang.Shutdown")?,
            inflater_stream: class(c"java.util.zip.Inflater$InflaterZStreamRef").ok(),
            deflater_stream: class(c"java.util.zip.Deflater$DeflaterZStreamRef").ok(),
            lender,
            provider,
            installed_providers: jni.static_field(
                provider,
                c"installedProviders",
                c"Ljava/util/List;",
            ),
            zipfs: OnceLock::new(),
            carrier: jni
                .has_virtual_threads()
                .then(|| class(c"jdk.internal.misc.CarrierThread").ok())
                .flatten(),
            address: OnceLock::new(),
            thread_number: jni.field(thread, c"tid", c"J"),
            thread_status: jni.field(thread, c"threadStatus", c"I"),
            task: Task::find(jni, thread),
            finalizer_queue: finalizer_queue(jni, any),
            pending: pending(jni, any),
            cleaner: OnceLock::new(),
            definers: Default::default(),
        })
    }

    /// The class of a target in the table of hooks. None if there is no such target.
    pub(crate) fn of_target(&self, target: &str) -> Option<jclass> {
        match target {
            instrument::INFLATER => Some(self.inflater),
            instrument::DEFLATER => Some(self.deflater),
            instrument::INFLATER_STREAM => self.inflater_stream,
            instrument::DEFLATER_STREAM => self.deflater_stream,
            target if target == self.lender.0 => Some(self.lender.1),
            instrument::PROVIDER => Some(self.provider),
            instrument::SHUTDOWN => Some(self.shutdown),
            target => self.zipfs.get().filter(|(zipfs, _)| *zipfs == target).map(|(_, it)| *it),
        }
    }

    /// The target that lends Inflaters to entry streams of a `ZipFile`.
    pub(crate) fn lender(&self) -> &'static str {
        self.lender.0
    }

    /// The target that lends them to streams of zip file systems, if it is loaded.
    pub(crate) fn zipfs(&self) -> Option<&'static str> {
        self.zipfs.get().map(|(target, _)| *target)
    }

    /// Enters that class. None if the JVM is out of memory.
    pub(crate) fn enter_zipfs(
        &self,
        jni: Jni,
        target: &'static str,
        class: jclass,
    ) -> Option<jclass> {
        let global = jni.global(class)?;
        Some(self.zipfs.get_or_init(|| (target, global)).1)
    }

    /// The providers of file systems, if the program has used them: local references. None if they
    /// cannot be listed.
    pub(crate) fn installed_providers(&self, jni: Jni) -> Option<Vec<jobject>> {
        let Some(field) = self.installed_providers else { return Some(Vec::new()) };
        match jni.static_object_field(self.provider, field) {
            list if list.is_null() => Some(Vec::new()),
            list => jni.to_array(list),
        }
    }

    /// What owns the native streams of a kind in JDK 9 and later.
    pub(crate) fn stream_owner(&self, kind: Kind) -> Option<jclass> {
        match kind {
            Kind::Inflater | Kind::ZipEntry => self.inflater_stream,
            Kind::Deflater => self.deflater_stream,
        }
    }

    #[inline]
    pub(crate) fn kind(&self, jni: Jni, instance: jobject) -> Kind {
        if jni.is_instance(instance, self.deflater) { Kind::Deflater } else { Kind::Inflater }
    }

    /// The kind of any object. None if it is no instance.
    pub(crate) fn kind_of(&self, jni: Jni, object: jobject) -> Option<Kind> {
        match self.kind(jni, object) {
            Kind::Inflater if !jni.is_instance(object, self.inflater) => None,
            kind => Some(kind),
        }
    }

    /// The state of an instance. None if this JDK's layout is unknown.
    pub(crate) fn life(&self, jni: Jni, kind: Kind, instance: jobject) -> Option<Life> {
        Some(match self.stream(jni, kind, instance)? {
            None => Life::Unborn,
            Some(0) => Life::Ended,
            Some(_) => Life::Open,
        })
    }

    /// The address of an instance's native stream, 0 if it has none. None if this JDK's layout is
    /// unknown.
    pub(crate) fn native_address(&self, jni: Jni, kind: Kind, instance: jobject) -> Option<jlong> {
        self.stream(jni, kind, instance).map(|address| address.unwrap_or(0))
    }

    /// A local reference to the Inflater of an entry stream. None if the stream is closed, or its
    /// fields are unknown. `closed` is the field of its class that says so.
    pub(crate) fn lent(
        &self,
        jni: Jni,
        class: jclass,
        stream: jobject,
        closed: &CStr,
    ) -> Option<jobject> {
        let closed = jni.field(class, closed, c"Z")?;
        let inflater = jni.field(class, c"inf", c"Ljava/util/zip/Inflater;")?;
        if jni.boolean_field(stream, closed) {
            return None;
        }
        not_null(jni.object_field(stream, inflater))
    }

    /// The fields that lead from an instance to its native address.
    fn find_address(&self, jni: Jni) -> PerKind<Option<(jfieldID, jfieldID)>> {
        // JDK 8 has one ZStreamRef for both classes, JDK 9 and later one nested class each
        // (JDK-8185582).
        let shared = (c"java.util.zip.ZStreamRef", c"Ljava/util/zip/ZStreamRef;");
        let address = |instance, (name, signature): (&CStr, &CStr)| {
            let zs_ref = jni.field(instance, c"zsRef", signature)?;
            let holder = jni.boot_class(instance, name)?;
            let address = jni.field(holder, c"address", c"J");
            jni.delete_local(holder);
            Some((zs_ref, address?))
        };
        let inflater = (
            c"java.util.zip.Inflater$InflaterZStreamRef",
            c"Ljava/util/zip/Inflater$InflaterZStreamRef;",
        );
        let deflater = (
            c"java.util.zip.Deflater$DeflaterZStreamRef",
            c"Ljava/util/zip/Deflater$DeflaterZStreamRef;",
        );
        let find = |instance, own| address(instance, own).or_else(|| address(instance, shared));
        PerKind::from_fn(|kind| match kind {
            Kind::Inflater | Kind::ZipEntry => find(self.inflater, inflater),
            Kind::Deflater => find(self.deflater, deflater),
        })
    }

    /// The address in an instance's `zsRef`, if it has one yet.
    pub(crate) fn stream(&self, jni: Jni, kind: Kind, instance: jobject) -> Option<Option<jlong>> {
        let fields = found(&self.address, || self.find_address(jni));
        let (zs_ref, address) = (*fields.get(kind))?;
        let holder = jni.object_field(instance, zs_ref);
        if holder.is_null() {
            return Some(None);
        }
        let address = jni.long_field(holder, address);
        jni.delete_local(holder);
        Some(Some(address))
    }

    /// The JDK's methods that read a class from an archive and define it, as numbers. Methods of a
    /// class that is not initialised are left out: none of them runs, and a look-up would
    /// initialise the class.
    pub(crate) fn definers(&self, jvmti: Jvmti, jni: Jni) -> [Option<usize>; DEFINERS.len()] {
        let id = |(definer, (class, descriptor)): (&Definer, (&CStr, &CStr))| {
            if let Some(known) = definer.method.get() {
                return *known;
            }
            let find = || {
                let local = jni.boot_class(self.inflater, class)?;
                let global = jni.global(local);
                jni.delete_local(local);
                global
            };
            let class = found(&definer.class, find)?;
            if !jvmti.is_initialized(class).unwrap_or(false) {
                return None;
            }
            let find = || jni.method(class, c"defineClass", descriptor);
            found(&definer.method, || find().map(|method| method as usize))
        };
        let mut all = self.definers.iter().zip(DEFINERS).map(id);
        std::array::from_fn(|_| all.next().flatten())
    }

    /// Whether the JDK's own scheduler runs virtual threads on this thread.
    pub(crate) fn is_carrier(&self, jni: Jni, thread: jobject) -> bool {
        self.carrier.is_some_and(|class| jni.is_instance(thread, class))
    }

    /// The number of a thread, which no other thread of this JVM has. None if it is unknown.
    #[inline]
    pub(crate) fn thread_number(&self, jni: Jni, thread: jobject) -> Option<u64> {
        let number = jni.long_field(thread, self.thread_number?).cast_unsigned();
        (number != 0).then_some(number)
    }

    /// A platform thread's state from its own field, in bits of `JVMTI_THREAD_STATE_*`. None on JDK
    /// 19 and later.
    pub(crate) fn thread_status(&self, jni: Jni, thread: jobject) -> Option<jint> {
        self.thread_status.map(|status| jni.int_field(thread, status))
    }

    /// A local reference to the Runnable that a platform thread was made with. None if it has none,
    /// or if that is not known.
    pub(crate) fn task(&self, jni: Jni, thread: jobject) -> Option<jobject> {
        let Task { holder, field } = self.task?;
        let Some(holder) = holder else { return not_null(jni.object_field(thread, field)) };
        let holder = not_null(jni.object_field(thread, holder))?;
        let task = not_null(jni.object_field(holder, field));
        jni.delete_local(holder);
        task
    }

    /// Whether the JDK's own Cleaner is known to have work to do. Called only after an instance was
    /// created, which initialises the Cleaner.
    pub(crate) fn is_cleaner_busy(&self, jni: Jni) -> bool {
        let find = || Cleaner::find(jni, self.inflater);
        let Some(cleaner) = found(&self.cleaner, find) else { return false };
        // In the order in which a reference passes: one that moves on meanwhile is seen further on.
        jni.call_static_boolean(cleaner.reference, cleaner.pending) != Some(false)
            || jni.static_boolean_field(cleaner.reference, cleaner.active)
            || jni.long_field(cleaner.queue.0, cleaner.queue.1) != 0
    }

    /// Whether finalizers are known to be queued, or about to be.
    pub(crate) fn finalizers_queued(&self, jni: Jni) -> bool {
        // In the order in which a reference passes, as above.
        if let Some((reference, pending)) = self.pending {
            let found = jni.static_object_field(reference, pending);
            if !found.is_null() {
                jni.delete_local(found);
                return true;
            }
        }
        self.finalizer_queue.is_some_and(|(queue, length)| jni.long_field(queue, length) != 0)
    }
}

impl Task {
    fn find(jni: Jni, thread: jclass) -> Option<Task> {
        const RUNNABLE: &CStr = c"Ljava/lang/Runnable;";
        if let Some(field) = jni.field(thread, c"target", RUNNABLE) {
            return Some(Task { holder: None, field });
        }
        let holder = jni.field(thread, c"holder", c"Ljava/lang/Thread$FieldHolder;")?;
        let class = jni.boot_class(thread, c"java.lang.Thread$FieldHolder")?;
        let field = jni.field(class, c"task", RUNNABLE);
        jni.delete_local(class);
        Some(Task { holder: Some(holder), field: field? })
    }
}

impl Cleaner {
    /// `any` is any class.
    fn find(jni: Jni, any: jclass) -> Option<Cleaner> {
        const LOCALS: usize = 16;
        let find = || {
            let reference = jni.boot_class(any, c"java.lang.ref.Reference")?;
            let pending = jni.static_method(reference, c"hasReferencePendingList", c"()Z")?;
            let active = jni.static_field(reference, c"processPendingActive", c"Z")?;
            let factory = jni.boot_class(any, c"jdk.internal.ref.CleanerFactory")?;
            let common = jni.static_field(factory, c"commonCleaner", c"Ljava/lang/ref/Cleaner;")?;
            let common = not_null(jni.static_object_field(factory, common))?;
            let cleaner = jni.class_of(common);
            let inner = jni.field(cleaner, c"impl", c"Ljdk/internal/ref/CleanerImpl;")?;
            let inner = not_null(jni.object_field(common, inner))?;
            let queue = jni.class_of(inner);
            let queue = jni.field(queue, c"queue", c"Ljava/lang/ref/ReferenceQueue;")?;
            let queue = jni.global(jni.object_field(inner, queue))?;
            let length = jni.boot_class(any, c"java.lang.ref.ReferenceQueue")?;
            let length = jni.field(length, c"queueLength", c"J")?;
            let reference = jni.global(reference)?;
            Some(Cleaner { reference, pending, active, queue: (queue, length) })
        };
        jni.with_locals(LOCALS, find).flatten()
    }
}

fn not_null(object: jobject) -> Option<jobject> {
    (!object.is_null()).then_some(object)
}

fn pending(jni: Jni, any: jclass) -> Option<(jclass, jfieldID)> {
    let local = jni.boot_class(any, c"java.lang.ref.Reference")?;
    let field = jni.static_field(local, c"pending", c"Ljava/lang/ref/Reference;");
    let reference = field.and_then(|_| jni.global(local));
    jni.delete_local(local);
    Some((reference?, field?))
}

fn finalizer_queue(jni: Jni, any: jclass) -> Option<(jobject, jfieldID)> {
    let finalizer = jni.boot_class(any, c"java.lang.ref.Finalizer")?;
    let class = jni.boot_class(any, c"java.lang.ref.ReferenceQueue")?;
    let field = jni.static_field(finalizer, c"queue", c"Ljava/lang/ref/ReferenceQueue;")?;
    let length = jni.field(class, c"queueLength", c"J")?;
    let local = jni.static_object_field(finalizer, field);
    let queue = jni.global(local);
    for local in [local, class, finalizer] {
        jni.delete_local(local);
    }
    Some((queue?, length))
}
