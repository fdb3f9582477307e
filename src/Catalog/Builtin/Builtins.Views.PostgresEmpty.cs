namespace Materialize.Catalog;

/// <summary>What Postgres has and Materialize does not: relations that clients ask, and find empty.</summary>
public static partial class Builtins
{
    private static IEnumerable<Builtin.View> EmptyPostgresViews() =>
    [
        Empty(
            150,
            Postgres,
            "pg_collation",
            "oid oid, collname text, collnamespace oid, collowner oid, collprovider char, collisdeterministic bool, collencoding int4, collcollate text, "
            + "collctype text, collversion text",
            3456),
        Empty(
            151,
            Postgres,
            "pg_constraint",
            "oid oid, conname text, connamespace oid, contype char, condeferrable bool, condeferred bool, convalidated bool, conrelid oid, contypid oid, "
            + "conindid oid, conparentid oid, confrelid oid, confupdtype char, confdeltype char, confmatchtype char, conislocal bool, coninhcount int4, "
            + "connoinherit bool, conkey int2[], confkey int2[], conpfeqop oid[], conppeqop oid[], conffeqop oid[], conexclop oid[], conbin text",
            2606),
        Empty(152, Postgres, "pg_enum", "oid oid, enumtypid oid, enumsortorder float4, enumlabel text", 3501),
        Empty(
            153,
            Postgres,
            "pg_event_trigger",
            "oid oid, evtname text, evtevent text, evtowner oid, evtfoid oid, evtenabled char, evttags text[]",
            3466),
        Empty(
            154,
            Postgres,
            "pg_extension",
            "oid oid, extname text, extowner oid, extnamespace oid, extrelocatable bool, extversion text, extconfig oid[], extcondition text[]",
            3079),
        Empty(155, Postgres, "pg_inherits", "inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool", 2611),
        Empty(
            156,
            Postgres,
            "pg_language",
            "oid oid, lanname text, lanowner oid, lanispl bool, lanpltrusted bool, lanplcallfoid oid, laninline oid, lanvalidator oid, lanacl text[]",
            2612),
        Empty(
            157,
            Postgres,
            "pg_locks",
            "locktype text, database oid, relation oid, page int4, tuple int2, virtualxid text, transactionid text, classid oid, objid oid, objsubid int2, "
            + "virtualtransaction text, pid int4, mode text, granted bool, fastpath bool, waitstart timestamptz"),
        Empty(
            158,
            Postgres,
            "pg_policy",
            "oid oid, polname text, polrelid oid, polcmd char, polpermissive bool, polroles oid[], polqual text, polwithcheck text",
            3256),
        Empty(159, Postgres, "pg_range", "rngtypid oid, rngsubtype oid", 3541),
        Empty(
            160,
            Postgres,
            "pg_rewrite",
            "oid oid, rulename text, ev_class oid, ev_type char, ev_enabled char, is_instead bool, ev_qual text, ev_action text",
            2618),
        Empty(161, Postgres, "pg_shdescription", "objoid oid, classoid oid, description text", 2396),
        Empty(
            162,
            Postgres,
            "pg_trigger",
            "oid oid, tgrelid oid, tgparentid oid, tgname text, tgfoid oid, tgtype int2, tgenabled char, tgisinternal bool, tgconstrrelid oid, "
            + "tgconstrindid oid, tgconstraint oid, tgdeferrable bool, tginitdeferred bool, tgnargs int2, tgattr int2vector, tgargs bytea, tgqual text, "
            + "tgoldtable text, tgnewtable text",
            2620),

        // Not in the catalog of Materialize itself, but named by clients that believe they talk to a newer Postgres.
        Empty(163, Postgres, "pg_publication", "oid oid, pubname text, pubowner oid, puballtables bool, pubinsert bool, pubupdate bool, pubdelete bool", 6104),
        Empty(164, Postgres, "pg_publication_rel", "oid oid, prpubid oid, prrelid oid", 6106),
        Empty(165, Postgres, "pg_publication_tables", "pubname text, schemaname text, tablename text"),
        Empty(166, Postgres, "pg_statistic_ext", "oid oid, stxrelid oid, stxname text, stxnamespace oid, stxowner oid, stxkeys int2vector, stxkind text[]", 3381),
        Empty(167, Postgres, "pg_foreign_table", "ftrelid oid, ftserver oid, ftoptions text[]", 3118),
        Empty(168, Postgres, "pg_foreign_server", "oid oid, srvname text, srvowner oid, srvfdw oid, srvtype text, srvversion text, srvacl text[], srvoptions text[]", 1417),
        Empty(169, Postgres, "pg_foreign_data_wrapper", "oid oid, fdwname text, fdwowner oid, fdwhandler oid, fdwvalidator oid, fdwacl text[], fdwoptions text[]", 2328),
        Empty(170, Postgres, "pg_db_role_setting", "setdatabase oid, setrole oid, setconfig text[]", 2964),
    ];
}
