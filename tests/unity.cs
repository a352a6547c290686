// As much of Unity's interface as the README uses, with the bytes that Unity's player sends: its own headers, a form in
// application/x-www-form-urlencoded, no Accept but */*.

using System;
using System.Collections;
using System.Collections.Generic;
using System.Net.Sockets;
using System.Text;

namespace UnityEngine
{
    public class MonoBehaviour { }

    public static class Debug
    {
        public static void Log(object text) { Console.Write(text + "\n"); }
    }

    public class WWWForm
    {
        readonly List<string> fields = new List<string>();

        public void AddField(string name, int value) { fields.Add(name + "=" + value); }

        public override string ToString() { return string.Join("&", fields.ToArray()); }
    }
}

namespace UnityEngine.Networking
{
    public class DownloadHandler
    {
        public string text;
    }

    public class UnityWebRequest
    {
        public readonly DownloadHandler downloadHandler = new DownloadHandler();
        readonly Uri address;
        readonly string method, body;
        readonly StringBuilder headers = new StringBuilder();

        UnityWebRequest(string method, string address, string body)
        {
            this.method = method;
            this.address = new Uri(address);
            this.body = body;
        }

        public static UnityWebRequest Get(string address) { return new UnityWebRequest("GET", address, null); }

        public static UnityWebRequest Post(string address, WWWForm form)
        {
            var request = new UnityWebRequest("POST", address, form.ToString());
            request.SetRequestHeader("Content-Type", "application/x-www-form-urlencoded");
            return request;
        }

        public void SetRequestHeader(string name, string value) { headers.Append(name + ": " + value + "\r\n"); }

        public object SendWebRequest()
        {
            using (var client = new TcpClient(address.Host, address.Port))
            {
                var length = body == null ? "" : "Content-Length: " + body.Length + "\r\n";
                var head = method + " " + address.PathAndQuery + " HTTP/1.1\r\nHost: " + address.Authority
                    + "\r\nUser-Agent: UnityPlayer/2022.3.1f1 (UnityWebRequest/1.0, libcurl/7.84.0-DEV)\r\nAccept: */*\r\n"
                    + "Accept-Encoding: deflate, gzip\r\n" + headers + "X-Unity-Version: 2022.3.1f1\r\n" + length
                    + "Connection: close\r\n\r\n";
                var bytes = Encoding.ASCII.GetBytes(head + body);
                var stream = client.GetStream();
                stream.Write(bytes, 0, bytes.Length);
                var answer = new System.IO.StreamReader(stream).ReadToEnd();
                var end = answer.IndexOf("\r\n\r\n");
                if (!answer.StartsWith("HTTP/1.1 200 ")) throw new Exception(answer);
                downloadHandler.text = answer.Substring(end + 4);
            }
            return null;
        }
    }
}

public static class Player
{
    public static void Main()
    {
        var start = typeof(Scores).GetMethod(
            "Start", System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance);
        var steps = (IEnumerator)start.Invoke(new Scores(), null);
        while (steps.MoveNext()) { }
    }
}
